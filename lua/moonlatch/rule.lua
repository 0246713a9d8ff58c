-- rule.lua - ml.rule and ml.deny: options checked, then compiled into what plan.lua runs.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local keep = require "moonlatch.keep"
local match = require "moonlatch.match"
local names = require "moonlatch.names"
local options = require "moonlatch.options"
local sandbox = require "moonlatch.sandbox"

local M = {}

local ACTIONS = { next = true, stop = true, default = true, stale = true }
local DEFAULT_ON = { missing = "next" }

-- ---- option types ----

local function is_string(v) return type(v) == "string" end

local function string_or_list(v)
  if type(v) == "string" then return nil end
  if type(v) ~= "table" then return "a string or a list of strings is needed" end
  return options.list_of(v, is_string, "a string")
end

local function string_map(v)
  if type(v) ~= "table" then return "a table is needed, not " .. options.article(type(v)) end
  for k, to in pairs(v) do
    if type(k) ~= "string" or type(to) ~= "string" then
      return "every key and every value must be a string"
    end
    if k == "" then return "an empty text cannot be replaced" end
  end
end

local function check_on(v)
  if type(v) ~= "table" then return "a table is needed, not " .. options.article(type(v)) end
  for outcome, action in pairs(v) do
    if not fault.outcomes[outcome] then
      return ("'%s' is not an outcome (missing, disabled, forbidden, unauthenticated, "
        .. "throttled, unavailable, invalid, policy)"):format(tostring(outcome))
    end
    if not ACTIONS[action] then
      return ("%s = '%s': next, stop, stale or default is needed"):format(
        outcome, tostring(action))
    end
    local problem = keep.check_on(outcome, action)
    if problem then return problem end
  end
end

local function check_default(v)
  if type(v) ~= "string" and not options.is_secret(v) then
    return "a string or an ml.env_secret is needed"
  end
end

local function from_check(registry)
  return function(v)
    if registry.is_handle(v) then return nil end
    if type(v) ~= "table" then return "a source or a list of sources is needed" end
    return options.list_of(v, registry.is_handle, "a source (ml.azure_key_vault {...}, ...)")
  end
end

local function schema_for(registry)
  local schema = {
    from = from_check(registry), strip = string_or_list, prefix = string_or_list,
    suffix = "string", replace = string_map, lower = "boolean", upper = "boolean",
    names = string_map, map = "function", on = check_on, default = check_default,
    label = options.not_empty,
  }
  for name, check in pairs(keep.options) do schema[name] = check end
  return schema
end

-- ---- compiling ----

local function compile_on(given)
  if not given then return DEFAULT_ON end
  local on = { missing = "next" }
  for outcome, action in pairs(given) do
    on[outcome] = action
  end
  return on
end

local function as_secret(default)
  if type(default) == "string" then return core.secret(default) end
  return default
end

local function entries_of(registry, from)
  if registry.is_handle(from) then from = { from } end
  local entries = {}
  for i, handle in ipairs(from) do entries[i] = registry.of(handle) end
  return entries
end

local function unset_fault(rule, name, unset)
  return fault.new("usage", ('%s: {%s} is not set for "%s": it is neither captured by the '
    .. 'pattern nor given as context (%s=...)'):format(rule.where, unset, name, unset))
end

-- The ladder: for each key, each source.
local function steps_function(rule, spec, entries)
  local keys_of, n_entries, on, kept = names.keys, #entries, rule.on, rule.keep
  return function(name, captures, context)
    local keys, unset = keys_of(spec, name, captures, context)
    if not keys then return nil, unset_fault(rule, name, unset) end
    local steps, n = {}, 0
    for i = 1, #keys do
      local key = keys[i]
      for j = 1, n_entries do
        n = n + 1
        steps[n] = { source = entries[j], key = key, on = on, keep = kept }
      end
    end
    return steps
  end
end

-- ml.rule "..." { ... } checks that make sense of several options at once.
local function check_together(where, o)
  local function refuse(...) options.refuse(where, ...) end
  if o.map then
    for _, k in ipairs { "from", "strip", "prefix", "suffix", "replace", "lower", "upper",
      "names" } do
      if o[k] ~= nil then refuse("ml.rule: 'map' does the whole mapping: remove '%s'", k) end
    end
  elseif o.from == nil then
    refuse("ml.rule needs 'from' (a source or a list of sources) or 'map'")
  end
  if o.lower and o.upper then refuse("ml.rule: 'lower' and 'upper' exclude each other") end
  for outcome, action in pairs(o.on or {}) do
    if action == "default" and o.default == nil then
      refuse("ml.rule: on.%s = 'default', but there is no 'default'", outcome)
    end
  end
  keep.check_together(where, o)
end

local function add_mapping(rule, registry, o)
  if o.map then
    rule.map, rule.wants_segments = o.map, true
    rule.unlisted = "a function maps its names"
    return
  end
  local spec, problem = names.compile(o)
  if not spec then options.refuse(rule.where, "ml.rule: %s", problem) end
  rule.entries = entries_of(registry, o.from)
  rule.steps = steps_function(rule, spec, rule.entries)
  rule.spec = spec
end

-- Lua itself refuses some patterns only on some names.
local function guarded(where, test)
  return function(name)
    local fine, captures = pcall(test, name)
    if fine then return captures end
    local problem = tostring(captures):gsub("^[^:]*:%d+: ", "")
    error(fault.new("policy", ("%s: %s"):format(where, problem)), 0)
  end
end

-- Without ASCII case: "*" and "{x}" do not care, a Lua pattern is tried on the name as it
-- is and in lower case, because its own letters cannot be changed (%D is not %d).
local function folded(test, is_lua_pattern)
  return function(name)
    local captures = is_lua_pattern and test(name)
    return captures or test(name:lower())
  end
end

local function compile_one(where, what, pattern, fold)
  local text = type(pattern) == "table" and pattern.lua_pattern or pattern
  local m, problem
  if text == pattern then
    m, problem = match.compile(fold and text:lower() or text)
  else
    m, problem = match.compile_lua(text, sandbox.string_match)
  end
  if not m then options.refuse(where, "%s '%s': %s", what, text, problem) end
  if text ~= pattern then m.test = guarded(where, m.test) end
  if fold then m.text, m.test = text, folded(m.test, text ~= pattern) end
  return m
end

local function is_pattern(v)
  return type(v) == "string" or type(v) == "table" and type(v.lua_pattern) == "string"
end

-- pattern: a string, an ml.pattern, or a list of them.
local function compile_pattern(where, what, pattern, fold)
  if is_pattern(pattern) then pattern = { pattern } end
  local problem = type(pattern) ~= "table" and "a pattern or a list of patterns is needed"
    or options.list_of(pattern, is_pattern, "a pattern")
  if problem then options.refuse(where, "%s: %s", what, problem) end
  local matchers = {}
  for i, p in ipairs(pattern) do matchers[i] = compile_one(where, what, p, fold) end
  return match.any_of(matchers)
end

local function listed_names(map)
  local none = {}
  return { text = "names", test = function(name) return map[name] and none or nil end }
end

-- ---- what policy.lua calls ----

function M.new(registry, where, pattern, o)
  options.check(where, "ml.rule", o, schema_for(registry))
  check_together(where, o)
  local matcher = pattern == nil and listed_names(o.names)
    or compile_pattern(where, "ml.rule", pattern)
  local rule = {
    kind = "rule", where = where, label = o.label or matcher.text, match = matcher.test,
    heads = matcher.heads, on = compile_on(o.on), default = as_secret(o.default),
    keep = keep.compile(o),
  }
  add_mapping(rule, registry, o)
  return rule
end

function M.deny(where, pattern, reason)
  if reason ~= nil and type(reason) ~= "string" then
    options.refuse(where, "ml.deny: the reason must be a string")
  end
  local matcher = compile_pattern(where, "ml.deny", pattern, true)
  return {
    kind = "deny", where = where, label = "deny " .. matcher.text, match = matcher.test,
    heads = matcher.heads, reason = reason,
  }
end

-- A rule of another module: see plan.lua for what it holds.
function M.custom(registry, where, given)
  if type(given) ~= "table" or type(given.match) ~= "function"
    or type(given.map) ~= "function" then
    options.refuse(where, "not a rule: match and map are missing")
  end
  local rule = {}
  for k, v in pairs(given) do rule[k] = v end
  rule.kind, rule.where = "custom", given.where or where
  rule.label = given.label or "custom"
  rule.on, rule.default = compile_on(given.on), as_secret(given.default)
  rule.keep = keep.compile(given)
  if given.sources and given.inverse then
    rule.entries = entries_of(registry, given.sources)
  else
    rule.unlisted = given.unlisted or "its names cannot be told from keys"
  end
  return rule
end

return M
