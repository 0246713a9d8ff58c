-- team.lua - ml.team: the rules of a file that another team owns, confined.
--
--   ml.team "billing" {
--     confine = { "billing/**" },      the names that its rules may see; nothing else
--     file    = "teams/billing.lua",   below the directory of the policy
--     sources = { vault = prod, shared = { common, keys = { "billing-*" } } },
--     env     = { "BILLING_*" },       variables for its ml.env and ml.env_secret
--     allow   = { "environment" },     constructors beyond those of OPEN below
--     default_credential = true,       its Key Vaults may use the host's own identity
--   }
--
-- The file sees constructors of its own, and as ml.given.vault what it was given.  All
-- that is not in OPEN is closed until the policy allows it, also what is added to the
-- policy language later.  Names outside `confine` never reach its rules; when none of
-- them matches a name, the policy goes on behind the team.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local given = require "moonlatch.given"
local loader = require "moonlatch.loader"
local match = require "moonlatch.match"
local options = require "moonlatch.options"
local ruleset = require "moonlatch.ruleset"

local M = {}

local MAX_NAME = 24 -- it is a part of the aliases of its sources

-- Nothing here reads what the host did not grant, or asks a place that it did not name.
local OPEN = {
  rule = true, deny = true, missing = true, case = true, pattern = true, policy = true,
  encode = true, decode = true,
  env = true, env_secret = true, azure_key_vault = true, client_secret = true,
  -- These work inside the functions of ml.source only, which is closed, or ask nobody.
  http = true, now = true, json = true, secret_text = true, join = true, sha256 = true,
  hmac_sha256 = true, hex = true, base64 = true, base64_decode = true, url_encode = true,
  chomp = true, utc = true,
}

-- With the host's identity a team may say which vault, but not whom to trust.
local IDENTITY_OPTIONS = { vault_url = true, alias = true, api_version = true }

-- ---- what the file of a team gets ----

-- Any use of it is an error at the user's line.
local function closed(here, name, grants)
  local function refuse()
    options.refuse(here(), 'ml.%s is not open to team "%s": allow = { "%s" } in its '
      .. "ml.team opens it (%s)", name, grants.name, name, grants.where)
  end
  return setmetatable({}, {
    __call = refuse, __index = refuse, __newindex = refuse, __metatable = false,
  })
end

-- ml.given, where no team was given anything: what a team sees that tries its file alone.
function M.nothing_given(here)
  return setmetatable({}, { __metatable = false, __index = function()
    options.refuse(here(), "ml.given is for files that an ml.team names: check and test "
      .. "the policy with that ml.team, not this file alone")
  end })
end

local function env_guarded(read, here, what, grants)
  return function(name, ...)
    if type(name) == "string" and not (grants.env and grants.env(name)) then
      options.refuse(here(), '%s "%s": this variable is not open to team "%s": '
        .. "env = { ... } in its ml.team opens some (%s)", what, name, grants.name,
        grants.where)
    end
    return read(name, ...)
  end
end

local function vault_guarded(make, here, grants)
  return function(t)
    if type(t) ~= "table" or t.credential ~= nil then return make(t) end
    if not grants.default_credential then
      options.refuse(here(), "ml.azure_key_vault without 'credential' would use the "
        .. 'identity of the host, which is not open to team "%s": default_credential = '
        .. "true in its ml.team opens it (%s)", grants.name, grants.where)
    end
    for name in pairs(t) do
      if not IDENTITY_OPTIONS[name] then
        options.refuse(here(), "ml.azure_key_vault: '%s' needs a 'credential' of the "
          .. "team's own", tostring(name))
      end
    end
    return make(t)
  end
end

-- By itself ml.airflow reads the host's settings: its vault, identity and variables.
local function airflow_guarded(make, here, grants)
  return function(o)
    local has_from = type(o) == "table" and o.from ~= nil
    if not has_from or o.then_environment and not grants.allow.environment then
      options.refuse(here(), 'ml.airflow %s is not open to team "%s": %s (%s)',
        has_from and "with 'then_environment'" or "without 'from'", grants.name, has_from
        and 'allow = { "environment" } in its ml.team opens it'
        or "from = ml.given.NAME, or a vault of the team's own", grants.where)
    end
    return make(o)
  end
end

local function given_handles(here, registry, grants)
  local handles = {}
  for name, g in pairs(grants.given) do
    handles[name] = registry.adopt(given.entry(g.entry, g.keys, grants.name, grants.where))
  end
  return setmetatable(handles, { __metatable = false, __index = function(_, name)
    options.refuse(here(), 'there is no ml.given.%s: sources = { ... } of the ml.team "%s" '
      .. "has what is given (%s)", tostring(name), grants.name, grants.where)
  end })
end

-- The constructors that a file without a team would have -> those of a team's file.
function M.restricted(full, here, grants, registry)
  local ml = {}
  for name, value in pairs(full) do
    local is_open = OPEN[name] or grants.allow[name]
    ml[name] = is_open and value or closed(here, name, grants)
  end
  ml.env = env_guarded(full.env, here, "ml.env", grants)
  ml.env_secret = env_guarded(full.env_secret, here, "ml.env_secret", grants)
  ml.azure_key_vault = vault_guarded(full.azure_key_vault, here, grants)
  if grants.allow.airflow then ml.airflow = airflow_guarded(full.airflow, here, grants) end
  ml.given = given_handles(here, registry, grants)
  return ml
end

-- ---- the options ----

local function is_text(v) return type(v) == "string" and v ~= "" end

local function texts(v)
  if is_text(v) then return nil end
  if type(v) ~= "table" then return "a text or a list of texts is needed" end
  return options.list_of(v, is_text, "a text")
end

local SCHEMA = {
  confine = texts, file = options.not_empty, sources = "table", env = texts, allow = texts,
  default_credential = "boolean",
}

local function list_of(v)
  return type(v) == "table" and v or { v }
end

local function compiled(where, what, patterns)
  local matchers = {}
  for i, text in ipairs(list_of(patterns)) do
    local m, problem = match.compile(text)
    if not m then options.refuse(where, "%s, '%s': %s", what, text, problem) end
    matchers[i] = m
  end
  return match.any_of(matchers)
end

local function allowed(where, what, names, ml)
  local set = {}
  for _, name in ipairs(list_of(names or {})) do
    if rawget(ml, name) == nil or name == "team" then
      options.refuse(where, "%s, option 'allow': there is no ml.%s that a team could have",
        what, name)
    end
    set[name] = true
  end
  return set
end

-- { handle, keys = {...} } or a handle -> { entry =, keys = }.
local function one_given(where, what, registry, name, v)
  local function refuse(problem)
    options.refuse(where, "%s, option 'sources': %s", what, problem)
  end
  if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    refuse("each source needs a name: sources = { vault = ... }")
  end
  if registry.is_handle(v) then return { entry = registry.of(v) } end
  if type(v) ~= "table" or not registry.is_handle(v[1]) then
    refuse(("%s is neither a source nor { source, keys = { ... } }"):format(name))
  end
  for k in pairs(v) do
    if k ~= 1 and k ~= "keys" then
      refuse(("%s: { source, keys = { ... } } has no option '%s'"):format(name, tostring(k)))
    end
  end
  local problem = v.keys == nil and "keys are missing" or texts(v.keys)
  local keys = list_of(v.keys)
  if not problem then
    local _, wrong = given.entry(registry.of(v[1]), keys, "", where)
    problem = wrong
  end
  if problem then refuse(("%s: %s"):format(name, problem)) end
  return { entry = registry.of(v[1]), keys = keys }
end

local function grants_of(registry, ml, where, what, name, o)
  local grants = {
    name = name, where = where, allow = allowed(where, what, o.allow, ml), given = {},
    default_credential = o.default_credential == true,
    env = o.env and compiled(where, what .. ", option 'env'", o.env).test,
  }
  for given_name, v in pairs(o.sources or {}) do
    grants.given[given_name] = one_given(where, what, registry, given_name, v)
  end
  return grants
end

-- ---- loading ----

local function check_name(where, scope, name)
  if type(name) ~= "string" or not name:find("^[%w_-]+$") or #name > MAX_NAME then
    options.refuse(where, "ml.team: a name of letters, digits, '_' and '-' is needed, at "
      .. "most %d", MAX_NAME)
  end
  if scope.teams[name] then
    options.refuse(where, 'ml.team "%s": there is a team of this name already, at %s',
      name, scope.teams[name])
  end
  scope.teams[name] = where
end

local function load_file(scope, where, what, file, grants)
  local chunk, second = loader.read_below(scope, file)
  if not chunk then options.refuse(where, "%s: %s", what, second) end
  core.renew_budget()
  local fine, made = pcall(scope.load, chunk, second,
    loader.team_scope(scope, file, grants.name, grants))
  core.renew_budget()
  if fine then return made end
  local text = fault.of(made, "policy").text
  error(fault.new("policy", ('%s: team "%s": %s'):format(where, grants.name, text)), 0)
end

local function entry_of(where, name, patterns, confine, policy)
  local confined = { test = confine.test, patterns = list_of(patterns) } -- for policy check
  for _, rule in ipairs(policy.rules) do rule.team, rule.confined = name, confined end
  policy.confine = confine.test
  return {
    kind = "team", label = ("team %s"):format(name), where = where, reach = confine.reach,
    first_segments = ruleset.heads(confined.patterns),
    team = name, confine = confine.test, policy = policy,
    match = function(asked)
      if not confine.test(asked) then return nil, "outside its confine" end
      return ruleset.decide(policy, asked)
    end,
  }
end

-- registry and ml: of the file that says ml.team.  Returns a rule (see ruleset.lua).
function M.new(registry, ml, scope, where, name, o)
  check_name(where, scope, name)
  local what = ('ml.team "%s"'):format(name)
  options.check(where, what, o, SCHEMA)
  for _, k in ipairs { "confine", "file" } do
    if o[k] == nil then options.refuse(where, "%s needs '%s'", what, k) end
  end
  local confine = compiled(where, what .. ", option 'confine'", o.confine)
  local grants = grants_of(registry, ml, where, what, name, o)
  local policy = load_file(scope, where, what, o.file, grants)
  core.log("debug", "policy", ('%s: team "%s": %d rules'):format(
    where, name, #policy.rules))
  return entry_of(where, name, o.confine, confine, policy)
end

return M
