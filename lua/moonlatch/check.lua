-- check.lua - what a policy's author should know before anybody asks: `policy check`.
--
-- The policy has loaded, so its options are right.  What is looked for here needs names:
-- those of the policy's examples and cases, those that the caller brings, and made-up
-- ones (witness.lua).
--
--   run(policy, call) -> { text = JSON }
--     { findings = { { severity =, where =, what =, text =, try = } ... },
--       rules = { { index =, where =, label =, kind =, inverse =, names =, cost_us =,
--                   instructions =, budget = } ... },
--       names = number }
--   severity   "error"     a name that the policy should answer cannot be answered
--              "warning"   a rule or source that does nothing, or two names for one key
--              "note"      what to know: no inverse, values shown to Lua
local costs = require "moonlatch.check_costs"
local json = require "moonlatch.json"
local keys = require "moonlatch.check_keys"
local plan = require "moonlatch.plan"
local reach = require "moonlatch.check_reach"

local M = {}

local RANK = { error = 1, warning = 2, note = 3 }

-- ---- the names to try ----

-- The policy's examples and cases, then the caller's names, a line each.
local function names_of(policy, call)
  local names, seen = {}, {}
  local function add(name, context, where)
    local mark = { name }
    for k, v in pairs(context) do mark[#mark + 1] = k .. "=" .. v end
    table.sort(mark)
    mark = table.concat(mark, "\0")
    if seen[mark] then return end
    seen[mark] = true
    names[#names + 1] = { name = name, context = context, where = where }
  end
  for _, example in ipairs(policy.examples or {}) do
    add(example.name, example.context or call.context, policy.where)
  end
  for _, case in ipairs(policy.tests or {}) do
    if not case.outcome or case.outcome == "found" then
      add(case.name, case.context or {}, case.where)
    end
  end
  local n = 0
  for line in (call.value .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    if line ~= "" then add(line, call.context, ("%s:%d"):format(call.name or "names", n)) end
  end
  return names
end

-- ---- the report ----

local function reporter(findings)
  return function(severity, where, what, text, try)
    findings[#findings + 1] = { severity = severity, where = where, what = what,
      text = text, try = try, order = #findings }
  end
end

local function note_rules(policy, report)
  for _, rule in ipairs(policy.rules) do
    if rule.unlisted and rule.kind ~= "deny" then
      report("note", rule.where, "no-inverse",
        ("%s: list cannot tell its names from keys: %s"):format(rule.label, rule.unlisted),
        "give the rule an inverse, if list or a migration needs it")
    end
    if rule.after and rule.after.has_transform then
      report("note", rule.where, "transform",
        ("%s: a function of the policy sees the values"):format(rule.label))
    end
  end
end

local function note_sources(policy, used, report)
  local has_map = false
  for _, rule in ipairs(policy.rules) do has_map = has_map or rule.map ~= nil end
  for _, entry in ipairs(policy.sources.all()) do
    if not used[entry.handle] then
      report("warning", entry.where or policy.where, "unused-source",
        ("no rule asks the source %s%s"):format(entry.alias,
          has_map and " (as far as the names show: functions may)" or ""),
        "remove it, or add an example that reaches it")
    end
  end
end

local function by_severity(a, b)
  if RANK[a.severity] ~= RANK[b.severity] then return RANK[a.severity] < RANK[b.severity] end
  return a.order < b.order
end

local object = json.object

local function rule_object(rule, i, cost)
  return object("index", i, "where", rule.where, "label", rule.label, "kind", rule.kind,
    "inverse", rule.kind ~= "deny" and not rule.unlisted or false,
    "names", cost.names, "cost_us", cost.us, "instructions", cost.instructions,
    "budget", cost.budget)
end

local function as_json(policy, findings, cost_of, n_names)
  local out, rules = {}, {}
  table.sort(findings, by_severity)
  for i, f in ipairs(findings) do
    out[i] = object("severity", f.severity, "where", f.where, "what", f.what,
      "text", f.text, "try", f.try)
  end
  for i, rule in ipairs(policy.rules) do rules[i] = rule_object(rule, i, cost_of[i]) end
  return json.encode(object("findings", out, "rules", rules, "names", n_names)) .. "\n"
end

function M.run(policy, call)
  local findings = {}
  local report = reporter(findings)
  local names = names_of(policy, call)
  reach.look(policy, report)
  local used = keys.look(policy, names, report)
  note_sources(policy, used, report)
  note_rules(policy, report)
  local cost_of = costs.measure(policy, names)
  return { text = as_json(policy, findings, cost_of, #names) }
end

return M
