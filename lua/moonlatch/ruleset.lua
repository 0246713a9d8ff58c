-- ruleset.lua - rules in order, as plan.lua and list.lua run on them: one file's, those
-- of several files, and those that teams bring.
--
-- A policy is { rules =, index =, sources = the registry of the file, parts = }.  parts:
-- the policies of several files that were joined.  The entry of a team is a rule of kind
-- "team": confine(name) says whether it may see the name at all, match finds the one of
-- its own rules that decides, and policy is the team's own.
local index = require "moonlatch.index"

local M = {}

function M.new(rules, registry)
  return { rules = rules, index = index.build(rules), sources = registry }
end

-- Policies of several files, in order, as one: the first match over all decides.
function M.join(policies)
  local rules = {}
  for _, p in ipairs(policies) do table.move(p.rules, 1, #p.rules, #rules + 1, rules) end
  local joined = M.new(rules, policies[1].sources)
  joined.parts = policies
  return joined
end

-- The policy of each file that rules come from: its own, and those of teams.
function M.files(policy)
  local files = {}
  for _, p in ipairs(policy.parts or { policy }) do
    files[#files + 1] = p
    for _, rule in ipairs(p.rules) do
      if rule.kind == "team" then files[#files + 1] = rule.policy end
    end
  end
  return files
end

-- For match of a team's entry: which of its rules decides, and with which captures.
function M.decide(policy, name)
  local rule, captures = index.first(policy.index, name)
  if not rule then return nil, "none of its rules matches" end
  return { rule = rule, captures = captures }
end

-- The rule that decides about a name, and its captures; of a team, its own.
function M.first(policy, name)
  local rule, captures = index.first(policy.index, name)
  if rule and rule.kind == "team" then return captures.rule, captures.captures end
  return rule, captures
end

-- First segments that names of these patterns have; nil: any.
function M.heads(patterns)
  local heads = {}
  for _, text in ipairs(patterns) do
    local head = text:match("^[^/]*")
    if head:find("[*{]") then return nil end
    heads[head] = true
  end
  return heads
end

-- Can no name have a head of both?
function M.disjoint(a, b)
  if not a or not b then return false end
  for head in pairs(a) do
    if b[head] then return false end
  end
  return true
end

-- All rules, those of teams in their place.  pattern: of the names that are wanted, nil for
-- any; teams that can have none of them are left out.
function M.flat(policy, pattern)
  local all, heads = {}, (pattern or "") ~= "" and M.heads { pattern } or nil
  for _, rule in ipairs(policy.rules) do
    if rule.kind ~= "team" then
      all[#all + 1] = rule
    elseif not M.disjoint(rule.first_segments, heads) then
      local own = rule.policy.rules
      table.move(own, 1, #own, #all + 1, all)
    end
  end
  return all
end

return M
