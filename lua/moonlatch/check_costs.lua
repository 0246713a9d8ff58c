-- check_costs.lua - what it costs to plan a name of each rule.
--
--   measure(policy, rules, names) -> array by rule of { names = how many of the names it decides,
--     us = microseconds a plan, instructions = of the policy's own function, budget = how
--     many it may use }; fields are missing when no name reaches the rule
local core = require "moonlatch.core"
local plan = require "moonlatch.plan"
local reach = require "moonlatch.check_reach"

local M = {}

local TOTAL_MS = 1000 -- for all rules
local MAX_ROUNDS = 1 << 16

local ANY = setmetatable({}, { __index = function() return "any" end })

-- One name of each rule, and how many there are.
local function samples(policy, rules, names)
  local sample, count = {}, {}
  for _, item in ipairs(names) do
    local rule = reach.decider(policy, item.name)
    if rule then
      count[rule] = (count[rule] or 0) + 1
      sample[rule] = sample[rule] or item
    end
  end
  for _, rule in ipairs(rules) do
    for _, name in ipairs(not sample[rule] and reach.witnesses_of(rule) or {}) do
      if reach.decider(policy, name) == rule then
        sample[rule] = { name = name, context = ANY }
        break
      end
    end
  end
  return sample, count
end

local function rounds(policy, item, n)
  local began = core.now_ms()
  for _ = 1, n do
    core.renew_budget()
    pcall(plan.make, policy, item.name, item.context)
  end
  return core.now_ms() - began
end

-- The clock counts milliseconds: as many rounds as fill some of them.
local function microseconds(policy, item, least_ms)
  local n = 1
  while true do
    local ms = rounds(policy, item, n)
    if ms >= least_ms or n >= MAX_ROUNDS then return ms * 1000 / n end
    n = n * 2
  end
end

function M.measure(policy, rules, names)
  local sample, count = samples(policy, rules, names)
  local least_ms = math.max(1, math.min(20, TOTAL_MS // (2 * #rules)))
  local out = {}
  for i, rule in ipairs(rules) do
    local item = sample[rule]
    out[i] = { names = count[rule] or 0 }
    if item and rule.on then
      out[i].us = microseconds(policy, item, least_ms)
      if rule.map and rule.kind ~= "custom" then
        out[i].instructions, out[i].budget = core.used_instructions()
      end
      core.renew_budget()
    end
  end
  return out
end

return M
