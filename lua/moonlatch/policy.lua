-- policy.lua - what a policy file sees as require "moonlatch.policy".
--
-- Each policy file gets constructors of its own (M.new), so that one file cannot change
-- what another sees.  They are strict: whatever cannot work is an error that begins with
-- the file and line of the caller.
--
--   azure_key_vault { vault_url =, credential =, api_version =, audience =, authority =,
--                     dns_suffix =, alias =, verify_challenge_resource = }   a source
--   client_secret { tenant_id =, client_id =, client_secret = env_secret "X" }
--   environment { alias = }                      a source: keys are variable names
--   dotenv { path =, optional =, alias = }       a source: keys are the file's variables
--   file { path =, key =, trim_newline =, optional =, alias = }   a source: the whole file
--                                                is the secret, of this key or of any
--   directory { path =, trim_newline =, hidden =, optional =, alias = }   a source: keys
--                                                are the names of the files below it
--   local_file { path =, holds = "variables" | "connections", optional =, alias = }
--                                                a source: a .env, .json or .yaml file as
--                                                Airflow's LocalFilesystemBackend reads it
--   host_source { name =, alias = }              a source that the program around us
--                                                supplies (ml_add_source)
--     path       relative to the directory of the policy file
--     optional   true: when there is no such file, its keys are missing; else unavailable
--   source { alias =, get = function(key, ctx) end, list =, put =, delete =, check =,
--            exec = }                            written in Lua: see lua_source.lua, and
--                                                source_tools.lua for ml.http, ml.json ...
--   source:key("name" [, "version"])             a step, for map
--   env("X" [, default])                         a string; an error when X is not set, or
--                                                when its name looks like a secret's
--   env_secret "X"                               opaque; an error when X is not set
--   policy { rule, ..., tests = { case, ... }, examples = { "name", { "name", env = "x" } },
--            read_only = true | "why" }          the first rule that matches decides
--   case "name" { plan = ..., fakes = ... }      what is expected of one name: case.lua
--   deny(pattern [, reason])                     never answered, never listed; compared
--                                                without ASCII case, unlike other rules,
--                                                because Key Vault's names have none
--   missing(pattern [, reason])                  missing at once: no source is asked
--   rule(pattern) { ... }                        or rule { names = ..., from = ... }
--     pattern    "a/*", "a/**", "{env}/x" (match.lua), pattern "..." (a Lua pattern that
--                matches the whole name; captures are {1}, {2} ...; with
--                { ignore_case = true } the name in lower case will do), or a list of them
--     from       a source or a list; with several keys: for each key, each source
--     names      { ["a/b"] = "key" }: these names have these keys, no further mapping
--     strip      text, or list of which the first that fits is taken off the front
--     replace    { ["/"] = "--", ["_"] = "-" }: all at once, longest first
--     lower, upper   true
--     encode     true: any name, reversible, no two alike (encode.lua); instead of replace,
--                lower and upper
--     prefix     text, or list: one key each, in order;  suffix    text
--     version    text: every step asks for this version
--     map        function(req) -> step or list of steps, instead of all of these;
--                req = { name, leaf, segments, captures, context }
--     inverse    function(key, context, source) -> name, list of names or nil: beside map,
--                so that list can tell names; `from` says which sources are listed
--     require, decode, field, transform   what is done with a secret that was found, in
--                this order (after.lua, require_options.lua); when it fails, the outcome
--                of the step is invalid:
--       require    { min_bytes =, max_bytes =, utf8 =, json =, like =, content_type =,
--                  tag =, not_expired =, valid_now =, max_age_days =, check = }
--       decode     "base64", "base64url" or "hex", or a list of them, in order
--       field      JSON pointer "/user/password"; of a list, the first that is there
--       transform  function(text) -> text: Lua sees the bytes, and explain says so
--     on         { outcome = "next" | "stop" | "default" | "stale" }; by default missing
--                is next and everything else stop.  "stale", for throttled and unavailable
--                only: the value that the source confirmed last, if it is young enough
--     ttl, negative_ttl, stale_ttl   seconds: how long a value, and a missing, answer
--                without asking; how old a stale value may be.  keep.lua
--     default    text or env_secret: the answer when every step is missing
--     read_only  true, or a text that says why: put, update, delete, recover, purge and
--                restore are refused
--     label      what explain calls it
--   encode(name [, max])                         a key (encode.lua); at most 127 bytes
--   decode(key)                                  the name, or nil and why not
--   airflow { ... }                              see airflow.lua
--   team(name) { confine =, file = ... }         see team.lua
--
-- {env} in strip, prefix, suffix, version and keys of names: from captures, then the
-- context; not set or empty is an error.  {env:upper} and {env:lower} change its case.  A
-- prefix with {env?} is left out when env is not set (template.lua).
local later = require "moonlatch.later"
local case = later "moonlatch.case"
local core = require "moonlatch.core"
local encode = later "moonlatch.encode"
local fault = require "moonlatch.fault"
local loader = require "moonlatch.loader"
local options = require "moonlatch.options"
local place = require "moonlatch.place"
local rule = require "moonlatch.rule"
local rule_options = require "moonlatch.rule_options"
local ruleset = require "moonlatch.ruleset"
local source_tools = require "moonlatch.source_tools"
local sources = require "moonlatch.sources"
local team = later "moonlatch.team"

local M = {}

local function unfinished(v)
  if type(v) == "function" then
    return 'ml.rule "..." needs its options: ml.rule "..." { from = ... }'
  end
  return ("rules are needed (ml.rule, ml.deny, ml.missing, ml.airflow, ml.team), not %s"):format(
    options.article(type(v)))
end

-- ---- variables of the environment ----

local function check_variable(where, what, name)
  if type(name) ~= "string" or name == "" then
    options.refuse(where, "%s needs the name of a variable", what)
  end
end

-- What ends so is a secret: as a string it could end up in a message, or in explain.
local SECRET_ENDS = { "_SECRET$", "_PASSWORD$", "_TOKEN$", "BACKEND_KWARGS$" }

local function check_no_secret(where, name)
  for _, pattern in ipairs(SECRET_ENDS) do
    if ("_" .. name:upper()):find(pattern) then
      options.refuse(where, 'ml.env "%s": this looks like a secret, use ml.env_secret "%s"',
        name, name)
    end
  end
end

local function env_function(here)
  return function(name, default)
    local where = here()
    check_variable(where, "ml.env", name)
    check_no_secret(where, name)
    if default ~= nil and type(default) ~= "string" then
      options.refuse(where, "ml.env: the default must be a string")
    end
    local value = core.env(name)
    if value == nil or value == "" then value = default end
    if value == nil then
      options.refuse(where, "the environment variable %s is not set", name)
    end
    return value
  end
end

local function env_secret_function(here)
  return function(name)
    local where = here()
    check_variable(where, "ml.env_secret", name)
    local value = core.env_secret(name)
    if value == nil then
      options.refuse(where, "the environment variable %s is not set", name)
    end
    return value
  end
end

-- ---- rules ----

local function rule_function(here, registry, rules)
  local function made(where, pattern, o)
    local r = rule.new(registry, where, pattern, o)
    local handle = {}
    rules[handle] = r
    return handle
  end
  return function(pattern, ...)
    local where = here()
    if select("#", ...) > 0 then
      options.refuse(where, 'ml.rule takes the pattern alone, the options follow it: '
        .. 'ml.rule("...") { from = ... }')
    end
    if type(pattern) == "table" and pattern.names ~= nil and pattern[1] == nil then
      return made(where, nil, pattern)
    end
    return function(o) return made(where, pattern, o) end
  end
end

-- ml.deny, ml.missing
local function dead_end_function(here, rules, make)
  return function(pattern, reason)
    local handle = {}
    rules[handle] = make(here(), pattern, reason)
    return handle
  end
end

-- moonlatch.airflow is loaded by the first policy that uses it.  It raises plain texts;
-- the user's line is put in front here.
local function airflow_function(here, registry, rules, ml)
  return function(o)
    local where = here()
    if o ~= nil and type(o) ~= "table" then
      options.refuse(where, "ml.airflow needs a table of options, not %s",
        options.article(type(o)))
    end
    local fine, given = pcall(require("moonlatch.airflow").rule, o or {}, ml)
    if not fine then
      if type(given) == "table" and given.code then
        error(fault.retold(given, place.located(where, given.text)), 0)
      end
      error(place.located(where, given), 0)
    end
    local handle = {}
    rules[handle] = rule.custom(registry, where, given)
    return handle
  end
end

local function team_function(here, registry, rules, ml, scope)
  return function(name)
    local where = here()
    return function(o)
      local handle = {}
      rules[handle] = team.new(registry, ml, scope, where, name, o)
      return handle
    end
  end
end

local function pattern_function(here)
  return function(text, o)
    local where = here()
    if type(text) ~= "string" then
      options.refuse(where, "ml.pattern needs a Lua pattern, a string")
    end
    options.check(where, "ml.pattern", o or {}, { ignore_case = "boolean" })
    return { lua_pattern = text, ignore_case = o and o.ignore_case }
  end
end

-- ---- encoded names ----

local function encode_function(here)
  return function(name, max)
    if type(name) ~= "string" then
      options.refuse(here(), "ml.encode needs a name, a string")
    end
    if max ~= nil and math.type(max) ~= "integer" then
      options.refuse(here(), "ml.encode: the length must be a whole number")
    end
    local key, problem = encode.encode(name, max)
    if not key then options.refuse(here(), "ml.encode: %s", problem) end
    return key
  end
end

local function decode_function(here)
  return function(key)
    if type(key) ~= "string" then options.refuse(here(), "ml.decode needs a key, a string") end
    return encode.decode(key)
  end
end

local function case_function(here, cases)
  return function(name)
    local where = here()
    return function(o)
      local handle = {}
      cases[handle] = case.new(where, name, o)
      return handle
    end
  end
end

-- tests = { ml.case "..." {...}, ... } -> what selftest.lua runs.
local function cases_of(where, list, cases)
  local function is_case(v) return v ~= nil and cases[v] ~= nil end
  local problem = type(list) ~= "table" and "a list of ml.case is needed"
    or next(list) ~= nil and options.list_of(list, is_case, 'an ml.case "..." { ... }')
  if problem then options.refuse(where, "tests: %s", problem) end
  local out = {}
  for i, handle in ipairs(list) do out[i] = cases[handle] end
  return out
end

-- examples = { "name", { "name", env = "prod" }, ... } -> names for `policy check`.
local function examples_of(where, list)
  if type(list) ~= "table" then options.refuse(where, "examples: a list of names is needed") end
  local out = {}
  for i, given in ipairs(list) do
    local name, context = given, nil
    if type(given) == "table" then
      name, context = given[1], {}
      for k, v in pairs(given) do
        if k ~= 1 then context[k] = v end
      end
    end
    for k, v in pairs(context or {}) do
      if type(k) ~= "string" or type(v) ~= "string" then name = nil end
    end
    if type(name) ~= "string" then
      options.refuse(where, 'examples, entry %d: "name" or { "name", env = "prod" } is needed', i)
    end
    out[i] = { name = name, context = context }
  end
  return out
end

-- Freezes rules that say nothing of their own; those of teams, too.
local function freeze(where, rules, why)
  local problem = why ~= nil and rule_options.check_read_only(why)
  if problem then options.refuse(where, "read_only: %s", problem) end
  for _, r in ipairs(why and rules or {}) do
    if r.kind == "team" then freeze(where, r.policy.rules, why) end
    r.read_only = r.read_only or why
  end
end

local NAMED = { tests = true, examples = true, read_only = true }

local function policy_function(here, rules, cases, policies, registry)
  return function(list)
    local where = here()
    if type(list) ~= "table" then
      options.refuse(where, "ml.policy needs a list of rules: ml.policy { ... }")
    end
    local n, compiled = 0, {}
    for k in pairs(list) do
      if math.type(k) == "integer" then
        n = n + 1
      elseif not NAMED[k] then
        options.refuse(where, "ml.policy has no option '%s' (options: examples, read_only, tests)",
          tostring(k))
      end
    end
    for i = 1, n do
      local r = list[i] ~= nil and rules[list[i]]
      if not r then
        options.refuse(where, "ml.policy, entry %d: %s", i, unfinished(list[i]))
      end
      compiled[i] = r
    end
    if n == 0 then options.refuse(where, "ml.policy { } has no rules") end
    local handle = {}
    local made = ruleset.new(compiled, registry)
    freeze(where, compiled, list.read_only)
    made.where = where
    made.tests = cases_of(where, list.tests or {}, cases)
    made.examples = examples_of(where, list.examples or {})
    policies[handle] = made
    return handle
  end
end

-- A typo would be a nil that is called, or worse, handed on.
local function strict(here, ml)
  return setmetatable(ml, { __metatable = false, __index = function(_, name)
    local folded, meant = tostring(name):lower():gsub("[^a-z0-9]", ""), nil
    for known in pairs(ml) do
      local is_close = type(known) == "string" and known:gsub("_", "") == folded
      if is_close then meant = known end
    end
    options.refuse(here(), "there is no ml.%s%s", tostring(name),
      meant and (": is ml.%s meant?"):format(meant) or "; lua/README.md has what there is")
  end })
end

-- The constructors for one file, a function that says what policy a value stands for, and
-- one that says what cases a list of them stands for.  scope: see loader.lua.
function M.new(here, scope)
  scope = scope or loader.scope()
  local registry = sources.registry(here, scope)
  local rules, cases, policies = {}, {}, {}
  local ml = {
    env = env_function(here),
    env_secret = env_secret_function(here),
    rule = rule_function(here, registry, rules),
    deny = dead_end_function(here, rules, rule.deny),
    missing = dead_end_function(here, rules, rule.missing),
    encode = encode_function(here),
    decode = decode_function(here),
    pattern = pattern_function(here),
    policy = policy_function(here, rules, cases, policies, registry),
    case = case_function(here, cases),
  }
  source_tools.add(ml)
  for name, make in pairs(registry.constructors) do ml[name] = make end
  ml.airflow = airflow_function(here, registry, rules, ml)
  ml.team = team_function(here, registry, rules, ml, scope)
  ml.given = team.nothing_given(here)
  if scope.grants then ml = team.restricted(ml, here, scope.grants, registry) end
  return strict(here, ml), function(value) return value ~= nil and policies[value] or nil end,
    function(list) return cases_of(here(), list, cases) end
end

return M
