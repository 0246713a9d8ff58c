-- engine.lua - what C calls: load a policy, run one call.
--
--   load(text, name) -> policy                     raises a fault
--   load(nil, name, path [, runs_tests]) -> policy of a file or a directory
--   run(policy, call) -> answer | nil, fault       in a coroutine; may wait; may raise one
-- An answer is { secrets = {...}, text = "..." }, that of a get the secret itself.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local loader = require "moonlatch.loader"
local options = require "moonlatch.options"
local place = require "moonlatch.place"
local policy = require "moonlatch.policy"
local sandbox = require "moonlatch.sandbox"
local resolve = require "moonlatch.resolve"

local M = {}

local EMPTY = {}

local function chunk_name(given)
  if given:find("^[@=]") then return given end
  return "@" .. given
end

local function refuse(text) error(fault.new("policy", text), 0) end

-- Runs a file of a policy's author: here, the value that it returns, and what policy.new
-- says about such values.
local function run_file(text, chunkname, scope)
  local here, file = place.finder(chunkname)
  local ml, policy_of, cases_of = policy.new(here, scope)
  local chunk, problem = load(text, chunkname, "t", sandbox.environment(ml))
  if not chunk then refuse(place.located(file .. ":1", problem)) end
  local fine, value = core.limited(chunk)
  if not fine then
    local f = fault.of(value, "policy")
    error(fault.retold(f, place.located(here(), f.text)), 0)
  end
  return here, value, policy_of, cases_of
end

-- What a file of cases returns, for selftest.lua.
local function load_cases(text, chunkname)
  sandbox.guard_strings()
  local _, value, _, cases_of = run_file(text, chunk_name(chunkname or "cases"),
    loader.scope())
  return cases_of(value)
end

local function load_text(text, chunkname, scope)
  local here, value, policy_of = run_file(text, chunkname, scope)
  local made = policy_of(value)
  if not made then
    local got = value == nil and "nil" or options.article(type(value))
    refuse(("%s: the file must return ml.policy { ... }, not %s"):format(here(), got))
  end
  return made
end

-- The policy's own cases, where it has some.
local function run_tests(made)
  local problem = require("moonlatch.selftest").failures(made)
  if problem then refuse(problem) end
end

function M.load(text, chunkname, path, runs_tests)
  sandbox.guard_strings()
  local made
  if text then
    made = load_text(text, chunk_name(chunkname or "policy"), loader.scope(load_text))
  else
    made = loader.path(load_text, chunkname, path)
  end
  if runs_tests then run_tests(made) end
  return made
end

-- Cases of a file of their own, in the same language as those in a policy.
local function verb_test(p, call)
  local cases = call.value ~= "" and load_cases(call.value, call.name) or nil
  return require("moonlatch.selftest").answer(p, cases)
end

-- The rest when it is first asked for: most processes only get.
local function other_verb(name)
  if name == "test" then return verb_test end
  if name == "check" then return require("moonlatch.check").run end
  if name == "explain" then return require("moonlatch.explain").run end
  if name == "list" or name == "list_deleted" then return require("moonlatch.list").run end
  return require("moonlatch.verbs").by_name[name]
end

-- The tools for a policy's author give each name a budget of its own; the loops of other
-- verbs are as long as policies and sources make them.
local OUTSIDE = { check = true, test = true }

-- The way of a plain get is bounded without a hook (what it does more than a little of, it
-- charges for), and short: what it raises is for C to read.
function M.run(p, call)
  if call.context == nil then call.context = EMPTY end
  if call.verb == "get" then return resolve.get(p, call) end
  local run = other_verb(call.verb)
  if not run then
    return nil, fault.new("usage", ("there is no verb '%s'"):format(tostring(call.verb)))
  end
  local door = OUTSIDE[call.verb] and pcall or core.limited
  local fine, answer, f = door(run, p, call)
  if not fine then return nil, fault.of(answer, "policy") end
  return answer, f
end

return M
