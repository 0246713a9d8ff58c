-- meta_spec.lua - the file for editors names every constructor and option, and no other.
local t = require "support.policy"
require "support.fake_tools"
local place = require "moonlatch.place"
local policy = require "moonlatch.policy"

local function whole_file(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local META = whole_file "lua/meta/moonlatch_policy.lua"

local function set_of(pattern)
  local set = {}
  for name in META:gmatch(pattern) do set[name] = true end
  return set
end

-- Options that a constructor knows, from its own error message.
local function options_of(text)
  local f = t.refused("return ml.policy { " .. text .. " }")
  local list = f.text:match("%(options: ([^)]*)%)")
  assert(list, f.text)
  local set = {}
  for word in list:gmatch("[%w_]+") do set[word] = true end
  return set
end

-- Fields of ---@class moonlatch.NAME.
local function fields_of(class)
  local block = META:match("@class moonlatch%." .. class .. "\n(.-)\n\n")
  local set = {}
  for name in block:gmatch("@field ([%w_]+)") do set[name] = true end
  return set
end

describe("lua/meta", function()
  it("is Lua", function() assert(load(META)) end)
  it("has every constructor", function()
    local ml = policy.new(place.finder "@p.lua")
    local known = { given = true } -- in files of teams
    for name in pairs(ml) do known[name] = true end
    local told = set_of "\nfunction ml%.([%w_]+)%("
    for name in pairs(set_of "\nml%.([%w_]+) = ") do told[name] = true end
    assert.same(known, told)
  end)
  it("has every option of a rule", function()
    assert.same(options_of 'ml.rule "x" { nope = 1 }', fields_of "RuleOptions")
  end)
  it("has every option of require", function()
    assert.same(options_of 'ml.rule "x" { from = ml.environment {}, require = { nope = 1 } }',
      fields_of "Require")
  end)
  it("has every option of a source", function()
    assert.same(options_of "ml.source { nope = 1 }", fields_of "SourceOptions")
  end)
  it("has every option of a team", function()
    assert.same(options_of 'ml.team "x" { nope = 1 }', fields_of "TeamOptions")
  end)
  it("has every option of a case", function()
    assert.same(options_of 'ml.case "x" { nope = 1 }', fields_of "CaseOptions")
  end)
end)
