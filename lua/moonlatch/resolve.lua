-- resolve.lua - walks a plan: asks one step after the other until one answers.
--
-- Found stops.  Missing goes on; everything else stops, unless the rule's `on` says
-- otherwise: an outage or a refusal must never look like an absence.  `stale` answers an
-- outage with what the source confirmed last, while that is young enough.  So when a rule lets
-- a failure pass and no later step has the name, the answer is that failure, not missing.
local after = require "moonlatch.after"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local plan = require "moonlatch.plan"

local M = {}

local EMPTY = "exists but is empty, which Airflow counts as missing"

-- What to do after this outcome.  Codes that are no outcomes (canceled ...) always stop.
local function action_for(step, rule, outcome)
  if not fault.outcomes[outcome] then return "stop" end
  local action = step.on[outcome] or "stop"
  if action == "default" and not rule.default then return "stop" end
  return action
end

local function pinned(step, rule)
  return fault.new("usage", ("%s: the policy pins %s:%s to another version"):format(
    rule.where, step.source.alias, step.key))
end

local function placed(f, step)
  if f.source == nil or f.source == "" then f.source = step.source.alias end
  if f.key == nil or f.key == "" then f.key = step.key end
  return f
end

-- The version that this step is asked for; or nil, fault.
local function version_of(step, call, rule)
  local version, asked = step.version, call.version
  if asked and asked ~= "" and asked ~= version then
    if version then return nil, pinned(step, rule) end
    version = asked
  end
  return version
end

-- What becomes of a secret that the source gave: secret; or nil, fault, was it empty?
local function answer_of(step, secret)
  if step.empty == "missing" and secret:is_empty() then
    return nil, placed(fault.new("missing", EMPTY), step), true
  end
  if not step.after then return secret end
  local made, f = after.run(step.after, secret, step)
  if not made then return nil, placed(f, step) end
  return made
end

local function ask(step, call, rule)
  local version, refused = version_of(step, call, rule)
  if refused then return nil, refused end
  if version then step.version = version end
  if call.refresh then step.refresh = call.refresh end
  local secret, f = step.source.raw:call("get", step)
  if not secret then return nil, placed(fault.of(f, "invalid"), step) end
  return answer_of(step, secret)
end

-- The value that the source confirmed last, if it is young enough, and its age; or nil.
local function stale(step, call, rule)
  local raw, keep = step.source.raw, step.keep
  if not raw.stale then return nil end -- a source without a cache before it
  local old, age_ms = raw:stale(step.key, version_of(step, call, rule),
    keep and keep.stale_ttl_ms)
  if not old then return nil end
  return answer_of(step, old), age_ms
end

local function log_stale(step, call, outcome, age_ms)
  core.log("warn", "resolve", ("%s: %s:%s is %s: answered with a stale value, %d s old")
    :format(call.name, step.source.alias, step.key, outcome, age_ms // 1000))
end

local function all_missing(call, steps, rule, last, empty)
  local f = fault.retold(last, ('"%s" is missing: tried %s (%s)%s'):format(
    call.name, plan.text(steps), rule.where, empty or ""))
  f.code = "missing"
  return f
end

-- The walk itself.  record(i, step, outcome, fault, action, stale_ms), if given, sees each
-- step.
-- Returns secret, step (nil when it is the rule's default); or nil, fault.
function M.walk(steps, rule, call, record)
  local passed, last -- the first failure that was let pass; the last fault at all
  local empty -- says which step had an empty value
  local wants_log = core.log_wants("info")
  for i = 1, #steps do
    local step = steps[i]
    local secret, f, was_empty = ask(step, call, rule)
    local outcome = secret and "found" or fault.outcome(f.code)
    local action, age_ms = secret and "answer" or action_for(step, rule, outcome), nil
    if action == "stale" then
      secret, age_ms = stale(step, call, rule)
      if secret then log_stale(step, call, outcome, age_ms) else action = "stop" end
    end
    if record then record(i, step, outcome, f, action, age_ms) end
    if wants_log then
      core.log("info", "resolve", ("%s: step %d of %d, %s:%s: %s"):format(call.name, i,
        #steps, step.source.alias, step.key, outcome))
    end
    if secret then return core.with_name(secret, call.name), step end
    if action == "default" then
      core.keep_at_most(0) -- the source may answer again at any time
      return core.with_name(rule.default, call.name)
    end
    if action ~= "next" then return nil, f end
    if outcome ~= "missing" then passed = passed or f end
    last = f
    if was_empty then empty = ("; %s:%s %s"):format(step.source.alias, step.key, EMPTY) end
  end
  if passed then
    return nil, fault.retold(passed, passed.text .. " (and no later step has it)")
  end
  if rule.default then
    core.keep_at_most(rule.keep and rule.keep.negative_ttl_ms) -- as any absence
    return core.with_name(rule.default, call.name)
  end
  return nil, all_missing(call, steps, rule, last, empty)
end

function M.get(policy, call)
  local steps, rule, refusing = plan.checked(policy, call.name, call.context)
  if refusing then core.by_rule(refusing.where) end
  if not steps then return nil, rule end
  core.by_rule(rule.where)
  local secret, second = M.walk(steps, rule, call)
  if secret then return secret end
  return nil, second
end

return M
