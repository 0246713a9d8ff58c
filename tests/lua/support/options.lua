-- options.lua - what the policy language has, as it tells itself, for specs of texts that
-- should name all of it.
--
--   constructors() -> set of names of moonlatch.policy
--   of(text)       -> set of the options that a constructor knows; text: a rule that
--                     gives it one that it does not know
--   ASKED          "rule" | "require" | "source" | "team" | "case" -> such a text
local t = require "support.policy"
require "support.fake_tools"
local place = require "moonlatch.place"
local policy = require "moonlatch.policy"

local M = {}

M.ASKED = {
  rule = 'ml.rule "x" { nope = 1 }',
  require = 'ml.rule "x" { from = ml.environment {}, require = { nope = 1 } }',
  source = "ml.source { nope = 1 }",
  team = 'ml.team "x" { nope = 1 }',
  case = 'ml.case "x" { nope = 1 }',
}

function M.constructors()
  local known = {}
  for name in pairs(policy.new(place.finder "@p.lua")) do known[name] = true end
  return known
end

function M.of(text)
  local f = t.refused("return ml.policy { " .. text .. " }")
  local list = f.text:match("%(options: ([^)]*)%)")
  assert(list, f.text)
  local set = {}
  for word in list:gmatch("[%w_]+") do set[word] = true end
  return set
end

function M.whole_file(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

return M
