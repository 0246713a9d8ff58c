-- rule.lua - ml.rule and ml.deny: options checked, then compiled into what plan.lua runs.
local later = require "moonlatch.later"
local after = require "moonlatch.after"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local inverse = later "moonlatch.inverse"
local keep = require "moonlatch.keep"
local match = require "moonlatch.match"
local names = require "moonlatch.names"
local options = require "moonlatch.options"
local plan = require "moonlatch.plan"
local rule_options = require "moonlatch.rule_options"
local sandbox = require "moonlatch.sandbox"
local template = require "moonlatch.template"

local M = {}

local DEFAULT_ON = { missing = "next" }

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

local function no_keys(rule, name, unset, problem)
  if problem then return fault.new("usage", ("%s: encode: %s"):format(rule.where, problem)) end
  return fault.new("usage", ('%s: {%s} is not set for "%s": it is neither captured by the '
    .. 'pattern nor given as context (%s=...)'):format(rule.where, unset, name, unset))
end

-- The ladder: for each key, each source.
local function steps_function(rule, spec, entries)
  local keys_of, n_entries, on, kept = names.keys, #entries, rule.on, rule.keep
  return function(name, captures, context)
    local keys, unset, problem = keys_of(spec, name, captures, context)
    if not keys then return nil, no_keys(rule, name, unset, problem) end
    local steps, n = {}, 0
    for i = 1, #keys do
      local key = keys[i]
      for j = 1, n_entries do
        n = n + 1
        steps[n] = { source = entries[j], key = key, name = name, on = on, keep = kept }
      end
    end
    return steps
  end
end

-- The same for a rule with `version`: every step asks for it.
local function pinned(rule, make, text)
  local t, problem = template.compile(text)
  if not t then options.refuse(rule.where, "ml.rule: %s", problem) end
  return function(name, captures, context)
    local version, unset = template.expand(t, captures, context)
    if not version then return nil, no_keys(rule, name, unset) end
    local steps, f = make(name, captures, context)
    if not steps then return nil, f end
    for _, step in ipairs(steps) do step.version = version end
    return steps
  end
end

-- The same for a rule that does something to what is found.
local function followed(make, parts)
  return function(name, captures, context)
    local steps, f = make(name, captures, context)
    if not steps then return nil, f end
    for i = 1, #steps do steps[i].after = parts end
    return steps
  end
end

local function add_map(rule, registry, o)
  rule.map, rule.wants_segments = o.map, true
  if o.inverse then
    rule.entries = entries_of(registry, o.from)
    rule.inverse = inverse.of_function(rule.where, o.inverse)
  else
    rule.unlisted = "a function maps its names"
  end
end

local function add_mapping(rule, registry, o)
  if o.map then return add_map(rule, registry, o) end
  local spec, problem = names.compile(o)
  if not spec then options.refuse(rule.where, "ml.rule: %s", problem) end
  rule.entries = entries_of(registry, o.from)
  local n = #spec.prefixes * #rule.entries
  if n > plan.MAX_STEPS then
    options.refuse(rule.where, "ml.rule: 'prefix' and 'from' make %d steps, at most %d are "
      .. "allowed", n, plan.MAX_STEPS)
  end
  rule.steps = steps_function(rule, spec, rule.entries)
  if o.version then rule.steps = pinned(rule, rule.steps, o.version) end
  if rule.after then rule.steps = followed(rule.steps, rule.after) end
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
  local text = pattern
  local m, problem
  if type(pattern) == "table" then text, fold = pattern.lua_pattern, fold or pattern.ignore_case end
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
  local texts = {}
  for i, p in ipairs(pattern) do
    matchers[i] = compile_one(where, what, p, fold)
    texts[i] = { text = type(p) == "table" and p.lua_pattern or p, is_lua = type(p) == "table" }
  end
  return match.any_of(matchers), texts
end

-- A rule without a pattern: the names of its table.
local function listed_names(map)
  local none, reach = {}, {}
  for name in pairs(map) do reach[#reach + 1] = "=" .. name end
  return {
    text = "names", test = function(name) return map[name] and none or nil end, reach = reach,
  }
end

-- ---- what policy.lua calls ----

function M.new(registry, where, pattern, o)
  options.check(where, "ml.rule", o, rule_options.schema(registry))
  rule_options.check_together(where, o)
  local matcher, texts
  if pattern == nil then
    matcher = listed_names(o.names)
  else
    matcher, texts = compile_pattern(where, "ml.rule", pattern)
  end
  local rule = {
    patterns = texts,
    kind = "rule", where = where, label = o.label or matcher.text, match = matcher.test,
    reach = matcher.reach, on = compile_on(o.on), default = as_secret(o.default),
    after = after.compile(where, o), registry = registry, read_only = o.read_only,
    keep = keep.compile(o),
  }
  add_mapping(rule, registry, o)
  return rule
end

-- A rule without steps.
local function dead_end(kind, where, pattern, reason)
  local what = "ml." .. kind
  if reason ~= nil and type(reason) ~= "string" then
    options.refuse(where, "%s: the reason must be a string", what)
  end
  local matcher, texts = compile_pattern(where, what, pattern, kind == "deny")
  return {
    patterns = texts,
    kind = kind, where = where, label = kind .. " " .. matcher.text, match = matcher.test,
    reach = matcher.reach, reason = reason,
  }
end

function M.deny(where, pattern, reason) return dead_end("deny", where, pattern, reason) end

-- Missing at once: no source is asked.
function M.missing(where, pattern, reason) return dead_end("missing", where, pattern, reason) end

-- A rule of another module: see plan.lua for what it holds.
function M.custom(registry, where, given)
  if type(given) ~= "table" or type(given.match) ~= "function"
    or type(given.map) ~= "function" then
    options.refuse(where, "not a rule: match and map are missing")
  end
  local rule = {}
  for k, v in pairs(given) do rule[k] = v end
  rule.kind, rule.where = "custom", given.where or where
  rule.label, rule.registry = given.label or "custom", registry
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
