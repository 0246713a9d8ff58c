-- check_reach.lua - rules that no name ever reaches, because rules before them take all.
local ruleset = require "moonlatch.ruleset"
local witness = require "moonlatch.witness"

local M = {}

-- Those of the names that a rule of a team may see, and what it matches of those that
-- stand for its confine; nil when there are none.
local function confined(rule, names)
  local some = {}
  for _, name in ipairs(names) do
    if rule.confined.test(name) then some[#some + 1] = name end
  end
  for _, pattern in ipairs(rule.confined.patterns) do
    for _, name in ipairs(witness.of(pattern)) do
      if rule.match(name) then some[#some + 1] = name end
    end
  end
  return #some > 0 and some or nil
end

-- Names that stand for all that the rule matches; nil when nobody can tell.
local function witnesses_of(rule)
  local names = {}
  for _, pattern in ipairs(rule.patterns or {}) do
    if pattern.is_lua then return nil end
    for _, name in ipairs(witness.of(pattern.text)) do names[#names + 1] = name end
  end
  for name in pairs(not rule.patterns and rule.spec and rule.spec.names or {}) do
    names[#names + 1] = name
  end
  if rule.confined then return confined(rule, names) end
  return #names > 0 and names or nil
end

-- Does the rule of a team match nothing that it may see?  Names without wildcards can be
-- tried; of others the first segment tells.
local function is_outside(rule)
  local texts = {}
  for i, pattern in ipairs(rule.confined and rule.patterns or {}) do
    if pattern.is_lua then return false end
    texts[i] = pattern.text
  end
  if #texts == 0 then return false end
  local heads = ruleset.heads(texts)
  for _, pattern in ipairs(rule.confined.patterns) do
    local is_name = not pattern:find("[*{]")
    if is_name and rule.match(pattern)
      or not is_name and not ruleset.disjoint(heads, ruleset.heads { pattern }) then
      return false
    end
  end
  return true
end

-- The rule that decides about name; nil too when its pattern cannot be tried.
local function decider(policy, name)
  local fine, rule = pcall(ruleset.first, policy, name)
  if not fine and type(rule) ~= "table" then error(rule, 0) end
  return fine and rule or nil
end

local function look_at(policy, rule, report)
  if is_outside(rule) then
    return report("warning", rule.where, "unreachable",
      ("%s never decides: it matches no name of team %s"):format(rule.label, rule.team),
      ("remove it, or widen confine in the ml.team, which is %s"):format(
        table.concat(rule.confined.patterns, ", ")))
  end
  local by
  for _, name in ipairs(witnesses_of(rule) or {}) do
    by = decider(policy, name)
    if not by or by == rule then return end
  end
  if not by then return end
  report("warning", rule.where, "unreachable",
    ("%s never decides: every name that it matches is taken before, as by %s (%s)"):format(
      rule.label, by.label, by.where),
    by.kind == "deny" and "remove it, or narrow the deny rule"
      or "put it before that rule, or remove it")
end

-- rules: all of the policy, those of teams in their place.
function M.look(policy, rules, report)
  for _, rule in ipairs(rules) do look_at(policy, rule, report) end
end

M.witnesses_of = witnesses_of
M.decider = decider

return M
