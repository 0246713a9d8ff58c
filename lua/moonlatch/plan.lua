-- plan.lua - rules + name -> plan.  Pure: no source is asked, nothing waits.
--
-- A plan is an array of steps, each plain data:
--   { source = <entry of sources.lua>, key = "...", version = "..." | nil, name = "...",
--     on = { outcome = "next"|"stop"|"stale"|"default" }, refused = "why" | nil,
--     after = what is done to the secret that is found (after.lua) | nil,
--     keep = what keep.lua made of the rule | nil, empty and holds: see below }
-- and the rule that made it.  The first rule that matches decides.  A step has what a
-- source is asked by: it is handed to source:call as it is, by resolve.lua with `refresh`
-- and the version that the caller wants.  So a plan is made for one walk.
--
-- Every rule that policy.lua makes is a table of one shape; modules of their own (such as
-- moonlatch.airflow) return one of the same shape, with kind = "custom":
--   kind     "rule" | "deny" | "missing" | "custom" | "team" (see ruleset.lua)
--   label    for people: "billing/**", "airflow"
--   where    "file:line" (ml.airflow fills it in for the rule that it gets)
--   match    function(name) -> captures table | nil, why not
--   reach    which names it could match at all (match.lua); nil: any
--   map      function(req) -> step | array of steps | nil, fault or text
--            req = { name=, captures=(what match returned), context={...} };
--            req.leaf and req.segments too when `wants_segments` is set
--            a step is what handle:key(key, version) returns; it may also carry `on`, and
--            empty = "missing": a value of no bytes is no answer of this step;
--            holds = "connection": for explain, so that its reader hides what is secret
--            nil + text: policy error;  nil + { code = "missing", text = ... }: that fault
--   inverse  function(handle, key, context) -> name | array of names | nil   (for list)
--            candidates will do: a name is listed only if its plan holds that very step.
--            Instead of a name an array of names that mean the same: the first that the
--            pattern of list matches is listed
--            nil: nothing maps to it
--   sources  array of handles that list asks; nil or no inverse: the rule is not listed,
--            and `unlisted` (text) may say why
--   on       per-outcome actions, by default missing = next and the rest stop; or nil
--   default  the answer when every step is missing, an opaque secret; or nil
-- Rules of kind "rule" without a function have `steps`(name, captures, context) instead of
-- map: the compiled fast way.
-- A handle is what ml.azure_key_vault{} or ml.environment{} returns.  Custom rules are
-- trusted code of ours: captures and context are not copied for them.
local later = require "moonlatch.later"
local after = require "moonlatch.after"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local index = require "moonlatch.index"
local inverse = later "moonlatch.inverse"
local match = require "moonlatch.match"
local place = require "moonlatch.place"

local M = {}

M.MAX_NAME = 1024 -- bytes

M.MAX_STEPS = 64 -- of one plan

local function copy(t)
  local c = {}
  for k, v in pairs(t) do c[k] = v end
  return c
end

local function request_for(rule, name, captures, context)
  if rule.kind == "custom" and not rule.wants_segments then
    return { name = name, captures = captures, context = context }
  end
  local segments = match.split(name)
  return {
    name = name, leaf = segments[#segments], segments = segments,
    captures = copy(captures), context = copy(context),
  }
end

-- What a map function returned -> steps, or nil, text.
local function check_steps(rule, name, given)
  if type(given) == "table" and given.source ~= nil then given = { given } end
  if type(given) ~= "table" or #given == 0 then
    return nil, "map must return a step (source:key(...)) or a list of them, not "
      .. (type(given) == "table" and "an empty list" or type(given))
  end
  if #given > M.MAX_STEPS then
    return nil, ("map returned %d steps, at most %d are allowed"):format(#given, M.MAX_STEPS)
  end
  local steps = {}
  for i = 1, #given do
    local s = given[i]
    local source = type(s) == "table" and rule.registry.of(s.source)
    if not source or type(s.key) ~= "string"
      or s.version ~= nil and type(s.version) ~= "string" then
      return nil, ("element %d of what map returned is not a step: use source:key(...)")
        :format(i)
    end
    steps[i] = {
      source = source, key = s.key, version = s.version, name = name,
      on = rule.kind == "custom" and s.on or rule.on, after = rule.after, keep = rule.keep,
      empty = rule.kind == "custom" and s.empty or nil,
      holds = rule.kind == "custom" and s.holds or nil,
    }
  end
  return steps
end

local function mapped(rule, name, captures, context)
  local door = rule.kind == "custom" and pcall or core.limited
  local fine, given, why = door(rule.map, request_for(rule, name, captures, context))
  if not fine then given, why = nil, given == nil and fault.text_of(nil) or given end
  if given == nil and why ~= nil then
    if rule.kind == "custom" then return nil, fault.of(why, "policy") end
    return nil, fault.new("policy", fault.text_of(why))
  end
  local steps, problem = check_steps(rule, name, given)
  if not steps then return nil, fault.new("policy", problem) end
  return steps
end

-- What a rule is, as plain data for explain and the tools:
--   { where, label, kind, inverse = true | "why not" | nil (nothing to list),
--     after = "decode base64, field /user" | nil, transforms = true | nil, team = name | nil }
-- Without a context: whether it can be inverted in some context.
function M.summary(rule, context)
  local s = { where = rule.where, label = rule.label, kind = rule.kind, team = rule.team }
  if rule.on then s.inverse = inverse.problem(rule, context) or true end
  if rule.after then
    s.after, s.transforms = after.shown(rule.after), rule.after.transforms or nil
  end
  return s
end

local function note(tried, number, rule, context, matched, why)
  local summary = M.summary(rule, context)
  summary.index, summary.matched, summary.why = number, matched, why
  tried[#tried + 1] = summary
end

local function refuse_name(name)
  if not name or name == "" then return nil, fault.new("usage", "a name is needed") end
  return nil, fault.new("usage", ("the name is longer than %d bytes"):format(M.MAX_NAME))
end

-- Which rule decides?  rule, captures; or nil.  Without the index: tried collects what
-- happened, for explain.  A team's rules are told of for names that it may see only.
local function deciding_aloud(policy, name, context, tried)
  for i, rule in ipairs(policy.rules) do
    local captures, why = rule.match(name)
    note(tried, i, rule, context, captures ~= nil, not captures and (why or "pattern") or nil)
    if rule.kind == "team" and rule.confine(name) then
      deciding_aloud(rule.policy, name, context, tried)
    end
    if captures then return rule, captures end
  end
end

-- The fault of a rule that has no steps: ml.deny, ml.missing.
local function dead_end(rule, name)
  local is_deny = rule.kind == "deny"
  return fault.new(is_deny and "policy" or "missing", ('%s: "%s" is %s by %s%s'):format(
    rule.where, name, is_deny and "denied" or "not looked up", rule.label,
    rule.reason and ": " .. rule.reason or ""))
end

-- steps, rule; or nil, fault, rule.
function M.make(policy, name, context, tried)
  if not name or name == "" or #name > M.MAX_NAME then return refuse_name(name) end
  local rule, captures
  if tried then
    rule, captures = deciding_aloud(policy, name, context, tried)
  else
    rule, captures = index.first(policy.index, name)
  end
  if rule and rule.kind == "team" then rule, captures = captures.rule, captures.captures end
  if not rule then
    return nil, fault.new("missing", ('no rule of the policy matches "%s"'):format(name))
  end
  if not rule.on then return nil, dead_end(rule, name), rule end
  local steps, f
  if rule.steps then
    steps, f = rule.steps(name, captures, context)
  else
    steps, f = mapped(rule, name, captures, context)
  end
  if not steps then
    return nil, fault.retold(f, place.located(rule.where, f.text)), rule
  end
  return steps, rule
end

-- Asks each source whether it could have the key at all, before any network.  Marks the
-- steps that are refused; nil, fault when there is one.
function M.check(steps, rule)
  local first, first_code
  for i = 1, #steps do
    local step = steps[i]
    local fine, why, code = step.source.raw:check(step.key)
    if not fine then
      step.refused = why or "not a key of this source"
      if not first then first, first_code = step, code or "usage" end
    end
  end
  if not first then return true end
  local f = fault.new(first_code, ("%s: %s cannot have the key \"%s\": %s"):format(
    rule.where, first.source.alias, first.key, first.refused))
  f.source, f.key = first.source.alias, first.key
  return nil, f
end

-- make and check in one: what every verb on a name begins with.
function M.checked(policy, name, context)
  local steps, rule, third = M.make(policy, name, context)
  if not steps then return nil, rule, third end
  local fine, f = M.check(steps, rule)
  if not fine then return nil, f, rule end
  return steps, rule
end

-- "kv:db@version, kv:other": as people read and tests write a plan.
function M.text(steps)
  local words = {}
  for i, step in ipairs(steps) do
    local version = step.version and "@" .. step.version or ""
    words[i] = step.source.alias .. ":" .. step.key .. version
  end
  return table.concat(words, ", ")
end

-- make's or checked's answer; the host is told by which rule it was decided.
function M.told(steps, rule, refusing)
  local deciding = steps and rule or refusing
  if deciding then core.by_rule(deciding.where) end
  return steps, rule
end

return M
