-- engine.lua - what C calls: load a policy, run one call.
--
--   load(text, chunkname) -> policy                raises a fault
--   run(policy, call) -> answer | nil, fault       in a coroutine; may wait
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
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

function M.load(text, chunkname)
  chunkname = chunk_name(chunkname or "policy")
  sandbox.guard_strings()
  local here, file = place.finder(chunkname)
  local ml, policy_of = policy.new(here)
  local chunk, problem = load(text, chunkname, "t", sandbox.environment(ml))
  if not chunk then refuse(place.located(file .. ":1", problem)) end
  local fine, value = core.limited(chunk)
  if not fine then
    local f = fault.of(value, "policy")
    error(fault.retold(f, place.located(here(), f.text)), 0)
  end
  local made = policy_of(value)
  if not made then
    refuse(("%s: the file must return ml.policy { ... }, not %s"):format(here(), type(value)))
  end
  return made
end

local function verb_get(p, call)
  local secret, f = resolve.get(p, call)
  if not secret then return nil, f end
  return { secrets = { secret } }
end

local VERBS = { get = verb_get }

-- The rest when it is first asked for: most processes only get.
local function other_verb(name)
  if name == "explain" then return require("moonlatch.explain").run end
  if name == "list" or name == "list_deleted" then return require("moonlatch.list").run end
  return require("moonlatch.verbs").by_name[name]
end

-- The way of a plain get is bounded without a hook (what it does more than a little of, it
-- charges for); the loops of other verbs are as long as policies and sources make them.
function M.run(p, call)
  local run = VERBS[call.verb] or other_verb(call.verb)
  if not run then
    return nil, fault.new("usage", ("there is no verb '%s'"):format(tostring(call.verb)))
  end
  if call.context == nil then call.context = EMPTY end
  local door = run == verb_get and pcall or core.limited
  local fine, answer, f = door(run, p, call)
  if not fine then return nil, fault.of(answer, "policy") end
  return answer, f
end

return M
