-- selftest.lua - runs the cases of a policy (case.lua): offline, in no time.
--
--   run(policy, cases) -> array of { name =, where =, problem = text | nil }; without
--                         cases: those that the files of the policy bring
--   answer(policy, cases) -> { text = the same as JSON }   for the verb
--   failures(policy) -> text | nil       of the policy's own cases, for reload
local core = require "moonlatch.core"
local fake_source = require "moonlatch.fake_source"
local fault = require "moonlatch.fault"
local json = require "moonlatch.json"
local plan = require "moonlatch.plan"
local resolve = require "moonlatch.resolve"
local ruleset = require "moonlatch.ruleset"

local M = {}

local EMPTY = {}
local RELOAD_MS = 5000 -- for all cases: meanwhile other calls wait

local function context_text(context)
  local words = {}
  for k, v in pairs(context or EMPTY) do words[#words + 1] = k .. "=" .. v end
  table.sort(words)
  return #words > 0 and " (" .. table.concat(words, ", ") .. ")" or ""
end

-- ---- what may be wrong ----

local function plan_problem(case, steps)
  local want, got = table.concat(case.plan, ", "), plan.text(steps)
  if want ~= got then return ("the plan is %s; expected %s"):format(got, want) end
end

local function rule_problem(case, rule)
  local label = rule and rule.label or "no rule"
  if label ~= case.rule then
    return ("decided by %s%s; expected %s"):format(label,
      rule and " (" .. rule.where .. ")" or "", case.rule)
  end
end

local function outcome_problem(case, outcome, f)
  local want = case.outcome or "found"
  if outcome == want then return nil end
  return ("the outcome is %s%s; expected %s"):format(outcome,
    f and ": " .. f.text or "", want)
end

local function answer_problem(case, secret, step)
  if case.answer and not core.same(secret, case.answer) then
    return "the value is another one than expected"
  end
  if not case.from then return nil end
  local from = step and step.source.alias .. ":" .. step.key or "the default of the rule"
  if from ~= case.from then return ("answered by %s; expected %s"):format(from, case.from) end
end

-- ---- one case ----

-- The same steps, asking the fakes.
local function faked(case, steps, unfaked)
  local clock = { spent_ms = 0, timeout_ms = case.timeout_ms }
  local out = {}
  for i, step in ipairs(steps) do
    local copy = {}
    for k, v in pairs(step) do copy[k] = v end
    copy.source = fake_source.entry(step.source, case.fakes[step.source.alias], clock, unfaked)
    out[i] = copy
  end
  return out
end

local function unknown_fake(case, policy)
  local known, words = {}, {}
  for _, file in ipairs(ruleset.files(policy)) do
    for _, entry in ipairs(file.sources.all()) do
      if not known[entry.alias] then words[#words + 1] = entry.alias end
      known[entry.alias] = true
    end
  end
  for alias in pairs(case.fakes) do
    if not known[alias] then
      return ("fakes: the policy has no source '%s'; it has %s"):format(alias,
        #words > 0 and table.concat(words, ", ") or "none")
    end
  end
end

local function walk_problem(case, policy, call, steps, rule)
  local problem, unfaked = unknown_fake(case, policy), nil
  if problem then return problem end
  local copies = faked(case, steps, function(alias) unfaked = unfaked or alias end)
  local secret, second = resolve.walk(copies, rule, call)
  if unfaked then return ("%s is asked, but has no fake"):format(unfaked) end
  local f = not secret and second or nil
  problem = outcome_problem(case, secret and "found" or fault.outcome(f.code), f)
  return problem or secret and answer_problem(case, secret, second) or nil
end

-- Without a plan the outcome can still be what was expected.
local function no_plan_problem(case, f)
  if case.plan then return "there is no plan: " .. f.text end
  return outcome_problem(case, fault.outcome(f.code), f)
end

local function problem_of(policy, case)
  local call = { verb = "get", name = case.name, version = case.version,
    context = case.context or EMPTY }
  local steps, second, third = plan.checked(policy, call.name, call.context)
  local rule = steps and second or third
  local problem = case.rule and rule_problem(case, rule)
  if problem then return problem end
  if not steps then
    if case.rule and not case.plan and not case.outcome and not case.fakes then return nil end
    return no_plan_problem(case, second)
  end
  problem = case.plan and plan_problem(case, steps)
  if problem then return problem end
  if case.fakes then return walk_problem(case, policy, call, steps, rule) end
  if case.outcome and case.outcome ~= "found" then
    return ("there is a plan (%s); expected %s"):format(plan.text(steps), case.outcome)
  end
end

-- ends_ms: nil, or when those that are left have to fail.
local function add_results(results, policy, cases, ends_ms)
  for _, case in ipairs(cases) do
    local is_late = ends_ms and core.now_ms() > ends_ms
    local fine, problem = true, ("the cases before it took more than %d ms, which is all "
      .. "that a reload has: they are for policy test"):format(RELOAD_MS)
    if not is_late then fine, problem = pcall(problem_of, policy, case) end
    if not fine then problem = fault.of(problem, "policy").text end
    problem = core.renew_budget() or problem
    results[#results + 1] = { name = case.name .. context_text(case.context),
      where = case.where, problem = problem }
  end
end

-- Cases of the policy's files see the whole of it; those of a team see its own rules
-- alone, and no names outside its confine: what they tell is for the team.
local function own_results(policy, ends_ms)
  local results = {}
  for _, file in ipairs(policy.parts or { policy }) do
    add_results(results, policy, file.tests, ends_ms)
    for _, rule in ipairs(file.rules) do
      if rule.kind == "team" then
        local own = ruleset.new({ rule }, rule.policy.sources)
        add_results(results, own, rule.policy.tests, ends_ms)
      end
    end
  end
  return results
end

function M.run(policy, cases)
  if not cases then return own_results(policy) end
  local results = {}
  add_results(results, policy, cases)
  return results
end

function M.answer(policy, cases)
  local results = {}
  for i, r in ipairs(M.run(policy, cases)) do
    results[i] = json.object("name", r.name, "where", r.where, "problem", r.problem)
  end
  return { text = json.encode(json.object("results", results)) .. "\n" }
end

-- One line about the policy's own cases that fail; nil when all hold.
function M.failures(policy)
  local failed, first = 0, nil
  for _, result in ipairs(own_results(policy, core.now_ms() + RELOAD_MS)) do
    if result.problem then
      failed = failed + 1
      first = first or result
    end
  end
  if failed == 0 then return nil end
  return ("%s: the policy's own test of \"%s\" fails: %s%s"):format(first.where, first.name,
    first.problem, failed > 1 and (" (and %d more)"):format(failed - 1) or "")
end

return M
