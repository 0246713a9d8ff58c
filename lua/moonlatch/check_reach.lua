-- check_reach.lua - rules that no name ever reaches, because rules before them take all.
local ruleset = require "moonlatch.ruleset"
local witness = require "moonlatch.witness"

local M = {}

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
  return #names > 0 and names or nil
end

-- The rule that decides about name; nil too when its pattern cannot be tried.
local function decider(policy, name)
  local fine, rule = pcall(ruleset.first, policy, name)
  if not fine and type(rule) ~= "table" then error(rule, 0) end
  return fine and rule or nil
end

local function look_at(policy, rule, report)
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
