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
local ruleset = require "moonlatch.ruleset"
local reach = require "moonlatch.check_reach"

local M = {}

local RANK = { error = 1, warning = 2, note = 3 }

-- ---- the names to try ----

-- The policy's examples and cases, then the caller's names, a line each.  Those of a team
-- are tried within its confine only: what is found out is told to the team.
local function names_of(policy, call, report)
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
  local function add_own(file, name, context, where)
    if not file.confine or file.confine(name) then return add(name, context, where) end
    report("warning", where, "outside", ('"%s" is outside the confine of the team'):format(name),
      "take it out, or widen the confine in its ml.team")
  end
  for _, file in ipairs(ruleset.files(policy)) do
    for _, example in ipairs(file.examples) do
      add_own(file, example.name, example.context or call.context, file.where)
    end
    for _, case in ipairs(file.tests) do
      if not case.outcome or case.outcome == "found" then
        add_own(file, case.name, case.context or {}, case.where)
      end
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
    local place = where .. ": "
    if text:sub(1, #place) == place then text = text:sub(#place + 1) end -- said once
    findings[#findings + 1] = { severity = severity, where = where, what = what,
      text = text, try = try, order = #findings }
  end
end

local function note_rules(rules, summaries, report)
  for i, rule in ipairs(rules) do
    local summary = summaries[i]
    if type(summary.inverse) == "string" then
      report("note", rule.where, "no-inverse",
        ("%s: list cannot tell its names from keys: %s"):format(rule.label, summary.inverse),
        "give the rule an inverse, if list or a migration needs it")
    end
    if summary.transforms then
      report("note", rule.where, "transform",
        ("%s: a function of the policy sees the values"):format(rule.label),
        "decode, field and require do without, where they are enough")
    end
  end
end

local function note_files(policy, report)
  for _, file in ipairs(policy.files or {}) do
    if file.is_world_writable then
      report("warning", file.path, "writable", "everybody on this machine may change this file",
        "chmod o-w " .. file.path)
    end
  end
end

local function note_sources(policy, rules, used, report)
  local has_map = false
  for _, rule in ipairs(rules) do has_map = has_map or rule.map ~= nil end
  for _, file in ipairs(ruleset.files(policy)) do
    for _, entry in ipairs(file.sources.all()) do
      if not used[entry] and not entry.is_given then
        report("warning", entry.where or file.where, "unused-source",
          ("no rule asks the source %s%s"):format(entry.alias,
            has_map and " (as far as the names show: functions may)" or ""),
          "remove it, or add an example that reaches it")
      end
    end
  end
end

local function by_severity(a, b)
  if RANK[a.severity] ~= RANK[b.severity] then return RANK[a.severity] < RANK[b.severity] end
  return a.order < b.order
end

local object = json.object

local function rule_object(summary, i, cost)
  return object("index", i, "where", summary.where, "label", summary.label,
    "kind", summary.kind, "team", summary.team, "inverse", summary.inverse,
    "after", summary.after, "transforms", summary.transforms,
    "names", cost.names, "cost_us", cost.us, "instructions", cost.instructions,
    "budget", cost.budget)
end

local function as_json(summaries, findings, cost_of, n_names)
  local out, rules = {}, {}
  table.sort(findings, by_severity)
  for i, f in ipairs(findings) do
    out[i] = object("severity", f.severity, "where", f.where, "what", f.what,
      "text", f.text, "try", f.try)
  end
  for i, summary in ipairs(summaries) do rules[i] = rule_object(summary, i, cost_of[i]) end
  return json.encode(object("findings", out, "rules", rules, "names", n_names)) .. "\n"
end

function M.run(policy, call)
  local findings, summaries = {}, {}
  local report, rules = reporter(findings), ruleset.flat(policy)
  for i, rule in ipairs(rules) do summaries[i] = plan.summary(rule) end
  local names = names_of(policy, call, report)
  reach.look(policy, rules, report)
  local used = keys.look(policy, rules, names, report)
  note_sources(policy, rules, used, report)
  note_rules(rules, summaries, report)
  note_files(policy, report)
  local cost_of = costs.measure(policy, rules, names)
  return { text = as_json(summaries, findings, cost_of, #names) }
end

return M
