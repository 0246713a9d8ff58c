-- list.lua - which names there are: every source is listed once, and each key is mapped
-- back to the names that lead to it.
--
-- A candidate counts only if the policy itself, asked forward, plans that very step.  So
-- what is listed can be got, denied names stay hidden, and a name that several keys
-- answer to is listed with the one that would answer.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local given_sources = require "moonlatch.given"
local inverse = require "moonlatch.inverse"
local match = require "moonlatch.match"
local plan = require "moonlatch.plan"
local ruleset = require "moonlatch.ruleset"

local M = {}

local function folds_case(source) return source.kind == "key_vault" end

-- Where in its own plan does name lead to this key?  The index of the step, or nil.
local function position(policy, name, source, key, context)
  local fine, steps = pcall(plan.make, policy, name, context)
  if not fine or not steps then return nil end
  for i = 1, #steps do
    local step = steps[i]
    if step.source == source and (step.key == key or folds_case(source)
      and step.key:lower() == key:lower()) then return i end
  end
end

-- found[name] = { secret, position }: the earliest step wins, it is the one that answers.
local function keep(found, name, secret, at, rule)
  local known = found[name]
  if not known or at < known.at then
    found[name] = { secret = secret, at = at, rule = rule }
  end
end

-- Which rule all of them come by; nil: several, or there are none.
local function only_rule(found)
  local only
  for _, known in pairs(found) do
    if only and only ~= known.rule then return nil end
    only = known.rule
  end
  return only
end

-- search = { policy, context, wanted, found }.  Returns whether the key holds a name that
-- cannot be told (encode.lua).
local function add_key(search, rule, source, secret)
  local key, wanted, is_digest = secret:key(), search.wanted, false
  local groups = inverse.candidates(rule, source, key, search.context, folds_case(source))
  for _, group in ipairs(groups) do
    is_digest = is_digest or group.why == "digest"
    for _, name in ipairs(group) do
      local at = position(search.policy, name, source, key, search.context)
      if at and wanted(name) then keep(search.found, name, secret, at, rule) end
      if at and (wanted(name) or not group.aliases) then break end
    end
  end
  return is_digest
end

local function add_keys(search, rule, source, secrets)
  local n = 0
  for _, secret in ipairs(secrets) do
    if add_key(search, rule, source, secret) then n = n + 1 end
  end
  if n == 0 then return end
  search.notes[#search.notes + 1] = ("not listed: %d of %s, of which %s (%s) knows only the "
    .. "digest of a name that was too long"):format(n, source.alias, rule.label, rule.where)
end

local function filter(pattern)
  if pattern == nil or pattern == "" then return function() return true end end
  local m, problem = match.compile(pattern)
  if not m then return nil, fault.new("usage", ("pattern '%s': %s"):format(pattern, problem)) end
  return m.test
end

-- The rules that can be listed with this context; why the others cannot goes to notes.
local function invertible(policy, pattern, context, notes)
  local rules = {}
  for i, rule in ipairs(ruleset.flat(policy, pattern)) do
    local why = rule.on and inverse.problem(rule, context)
    if why then
      notes[#notes + 1] = ("not listed: rule %d, %s (%s): %s"):format(
        i, rule.label, rule.where, why)
    elseif rule.on then
      rules[#rules + 1] = rule
    end
  end
  return rules
end

-- Asks each source once.  nil, fault when one fails: half a list would look like a whole.
local function fetcher(verb, notes)
  local cache = {}
  local function fetch(source)
    local known = cache[source]
    if known then return known end
    if source.base then return given_sources.admitted(source.admits, fetch(source.base)) end
    local all, f = source.raw:call(verb, {})
    if not all then
      f = fault.of(f, "invalid")
      if f.code ~= "usage" then
        if f.source == nil or f.source == "" then f.source = source.alias end
        return nil, f
      end
      notes[#notes + 1] = ("not listed: %s (%s) cannot %s"):format(
        source.alias, source.kind, (verb:gsub("_", " ")))
      all = {}
    end
    cache[source] = all
    return all
  end
  return fetch
end

local function sorted(found)
  local order, secrets = {}, {}
  for name in pairs(found) do order[#order + 1] = name end
  table.sort(order)
  for i, name in ipairs(order) do secrets[i] = core.with_name(found[name].secret, name) end
  return secrets
end

function M.run(policy, call)
  local wanted, f = filter(call.name)
  if not wanted then return nil, f end
  local search = {
    policy = policy, context = call.context, wanted = wanted, found = {}, notes = {},
  }
  local fetch = fetcher(call.verb, search.notes)
  for _, rule in ipairs(invertible(policy, call.name, call.context, search.notes)) do
    for _, source in ipairs(rule.entries) do
      local all
      all, f = fetch(source)
      if not all then return nil, f end
      add_keys(search, rule, source, all)
    end
  end
  local rule = only_rule(search.found)
  if rule then core.by_rule(rule.where) end -- for metrics
  return { secrets = sorted(search.found), text = table.concat(search.notes, "\n") }
end

return M
