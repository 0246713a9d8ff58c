-- check_keys.lua - what names become: keys that their source cannot have, plans that
-- fail, and two names that end at one key.
--
-- Names come from the author and the caller; for the rules that replace text, pairs of
-- names are made up as well, which differ only in what the rule makes the same.  What a
-- rule writes into each such key, and its source never takes, is told as well.
local after = require "moonlatch.after"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local plan = require "moonlatch.plan"
local reach = require "moonlatch.check_reach"

local M = {}

local EMPTY = {}

local function planned(policy, name, context)
  local fine, steps, second, third = pcall(plan.make, policy, name, context)
  local overrun = core.renew_budget()
  if overrun then -- "file:line: what": the line that ran, of whichever rule
    local where, text = overrun:match("^(.-:%d+): (.+)$")
    return nil, fault.new("policy", text or overrun), { where = where }
  end
  if not fine then return nil, fault.of(steps, "policy") end
  return steps, second, third
end

-- A source that a team was given stands for the one that was given.
local function mark_used(used, entry)
  used[entry] = true
  if entry.base then used[entry.base] = true end
end

-- What the step's source sees as the same key.
local function mark_of(step)
  local key = step.source.kind == "key_vault" and step.key:lower() or step.key
  return step.source.alias .. ":" .. key
end

local function context_mark(context)
  local words = {}
  for k, v in pairs(context) do words[#words + 1] = k .. "=" .. v end
  table.sort(words)
  return table.concat(words, "\0")
end

-- A finding says where it is itself.
local function without(where, text)
  local head = where .. ": "
  return text:sub(1, #head) == head and text:sub(#head + 1) or text
end

-- ---- names that were given ----

local function report_no_plan(item, f, rule, report)
  if f.code == "missing" then
    report("warning", item.where, "no-rule", ('no rule matches "%s"'):format(item.name),
      "add a rule for it, or take it out of the names")
  else
    report("error", rule and rule.where or item.where, "no-plan", f.text,
      'mend the rule, or say what the name needs: { "name", env = "..." } in examples')
  end
end

local function check_keys(item, steps, rule, report)
  local fine, f = plan.check(steps, rule)
  if fine then return end
  report("error", rule.where, "illegal-key",
    ('"%s": %s'):format(item.name, without(rule.where, f.text)),
    f.code == "policy" and "make another key, or let the ml.team give it this one"
      or "replace what the source cannot have, or use encode = true")
end

-- variables/x and airflow/variables/x mean the same.
local function same_name(a, b)
  return a == b or a == "airflow/" .. b or b == "airflow/" .. a
end

-- Both written down by hand, as two names of one key.
local function is_alias(rule, name)
  return rule.spec and rule.spec.names and rule.spec.names[name] ~= nil
end

local function note_keys(item, steps, rule, taken, report)
  local mark = context_mark(item.context)
  for _, step in ipairs(steps) do
    local key = mark_of(step) .. "\0" .. (step.version or "") .. "\0" .. mark
      .. "\0" .. after.shown(rule.after)
    local other = taken[key]
    if not other then
      taken[key] = { name = item.name, rule = rule }
    elseif not same_name(other.name, item.name)
      and not (is_alias(rule, item.name) and is_alias(other.rule, other.name)) then
      report("warning", rule.where, "collision",
        ('"%s" and "%s" both lead to %s'):format(other.name, item.name, mark_of(step)),
        "map them apart, or use encode = true")
    end
  end
end

local function look_at(policy, item, taken, used, report)
  local steps, rule, third = planned(policy, item.name, item.context)
  if not steps then return report_no_plan(item, rule, third, report) end
  for _, step in ipairs(steps) do mark_used(used, step.source) end
  check_keys(item, steps, rule, report)
  note_keys(item, steps, rule, taken, report)
end

-- ---- pairs that are made up ----

-- Contexts are not known here: any text will do for a placeholder.
local ANY = setmetatable({}, { __index = function() return "any" end })

local function first_mark(policy, rule, name)
  local steps, by = planned(policy, name, ANY)
  if steps and by == rule and steps[1] then return mark_of(steps[1]), steps[1] end
end

-- The last segment of name with text in its middle.
local function with_text(name, text)
  return name .. "zq" .. text .. "zr"
end

local function refusal(policy, rule, name)
  local steps, by = planned(policy, name, ANY)
  if not steps or by ~= rule then return nil end
  local _, f = plan.check(steps, rule)
  return f
end

-- Is it the replacement of `from` that the source refuses?
local function look_for_refusal(policy, rule, name, from, report)
  local a = with_text(name, from)
  local f = refusal(policy, rule, a)
  if not f or refusal(policy, rule, with_text(name, "")) then return end
  report("warning", rule.where, "illegal-key",
    ('%s: names with "%s" have no key, as "%s": %s'):format(rule.label, from, a,
      without(rule.where, f.text)),
    "replace it with what the source can have, or use encode = true")
  return true
end

local function look_for_pair(policy, rule, name, from, report)
  local to = rule.spec.replace.map[from]
  local a, b = with_text(name, from), with_text(name, to)
  local mark = first_mark(policy, rule, a)
  if not mark or mark ~= first_mark(policy, rule, b) then return end
  report("note", rule.where, "may-collide",
    ('%s: names that differ in "%s" and "%s" lead to one key, as "%s" and "%s" to %s')
      :format(rule.label, from, to, a, b, mark),
    "keep such names apart, or use encode = true")
  return true
end

local function look_for_pairs(policy, rule, report)
  if not rule.spec or not rule.spec.replace then return end
  local replaced = {}
  for from in pairs(rule.spec.replace.map) do replaced[#replaced + 1] = from end
  table.sort(replaced)
  for _, name in ipairs(reach.witnesses_of(rule) or EMPTY) do
    for _, from in ipairs(replaced) do
      if look_for_refusal(policy, rule, name, from, report)
        or look_for_pair(policy, rule, name, from, report) then return end
    end
  end
end

-- Reports what is wrong with the names; returns the set of sources that are asked.
function M.look(policy, rules, names, report)
  local taken, used = {}, {}
  for _, rule in ipairs(rules) do
    for _, entry in ipairs(rule.entries or EMPTY) do mark_used(used, entry) end
    look_for_pairs(policy, rule, report)
  end
  for _, item in ipairs(names) do look_at(policy, item, taken, used, report) end
  return used
end

return M
