-- list.lua - which names there are: every source is listed once, and each key is mapped
-- back to the names that lead to it.
--
-- A candidate counts only if the policy itself, asked forward, plans that very step.  So
-- what is listed can be got, denied names stay hidden, and a name that several keys
-- answer to is listed with the one that would answer.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local given_sources = require "moonlatch.given"
local match = require "moonlatch.match"
local names = require "moonlatch.names"
local plan = require "moonlatch.plan"
local ruleset = require "moonlatch.ruleset"

local M = {}

local function folds_case(source) return source.kind == "key_vault" end

-- Where in its own plan does name lead to this key?  The index of the step, or nil.
local function position(policy, name, source, key, context)
  local steps = plan.make(policy, name, context)
  if not steps then return nil end
  for i = 1, #steps do
    local step = steps[i]
    if step.source == source and (step.key == key or folds_case(source)
      and step.key:lower() == key:lower()) then return i end
  end
end

-- What rule.spec or rule.inverse makes of a key: groups of candidates.
local function groups_for(rule, source, key, context)
  if rule.spec then return names.candidates(rule.spec, key, context, folds_case(source)) end
  local given = rule.inverse(source.handle, key, context)
  if type(given) == "string" then return { { given } } end
  local groups = {}
  for i, name in ipairs(given or {}) do
    if type(name) == "table" then name.aliases = true end
    groups[i] = type(name) == "table" and name or { name }
  end
  return groups
end

-- found[name] = { secret, position }: the earliest step wins, it is the one that answers.
local function keep(found, name, secret, at)
  local known = found[name]
  if not known or at < known.at then found[name] = { secret = secret, at = at } end
end

local function add_key(policy, rule, source, secret, call, wanted, found)
  local key = secret:key()
  for _, group in ipairs(groups_for(rule, source, key, call.context)) do
    for _, name in ipairs(group) do
      local at = position(policy, name, source, key, call.context)
      if at and wanted(name) then keep(found, name, secret, at) end
      if at and (wanted(name) or not group.aliases) then break end
    end
  end
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
    local why = rule.unlisted
    if rule.spec then
      local fine, problem = names.can_invert(rule.spec, context)
      why = not fine and problem or nil
    end
    if why and rule.kind ~= "deny" then
      notes[#notes + 1] = ("not listed: rule %d, %s (%s): %s"):format(
        i, rule.label, rule.where, why)
    elseif rule.kind ~= "deny" then
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
  local notes, found = {}, {}
  local fetch = fetcher(call.verb, notes)
  for _, rule in ipairs(invertible(policy, call.name, call.context, notes)) do
    for _, source in ipairs(rule.entries) do
      local all
      all, f = fetch(source)
      if not all then return nil, f end
      for _, secret in ipairs(all) do
        add_key(policy, rule, source, secret, call, wanted, found)
      end
    end
  end
  return { secrets = sorted(found), text = table.concat(notes, "\n") }
end

return M
