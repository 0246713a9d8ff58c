-- airflow.lua - ml.airflow { ... }: one rule that answers as Airflow's
-- AzureKeyVaultBackend does.
--
--   airflow/connections/ID    airflow/variables/KEY    airflow/config/KEY
--
-- Settings come from AIRFLOW__SECRETS__BACKEND_KWARGS (airflow_kwargs.lua), the mapping
-- is airflow_names.lua.  Besides the backend's kwargs the rule takes
--   from = source             ask that one; kwargs for vault and credential are ignored
--   dns_suffix, audience, authority    texts, as in ml.azure_key_vault: for vaults of other
--                             clouds and behind names of their own; not with from
--   bare_names = true         variables/x stands for airflow/variables/x
--   then_environment = true   a second step, AIRFLOW_VAR_<KEY> or AIRFLOW_CONN_<ID>,
--                             as in Airflow's own search order; only missing leads
--                             there, while Airflow goes on after any failure
-- A prefix that is null (false in a policy) means that the kind is not asked for:
-- missing, without a request.  An empty connection counts as missing, an empty variable
-- is found.
--
-- Listing goes the other way: the longest matching prefix tells the kind.  Dashes stay
-- dashes, because underscores cannot be told from them.  With bare names a pattern may
-- leave airflow/ out, and so do the names that it lists.
--
-- A step may carry empty = "missing": an empty answer of that source is no answer; and
-- holds = "connection": what it answers is one, whose password is not for the screen.
local names = require "moonlatch.airflow_names"
local kwargs = require "moonlatch.airflow_kwargs"

local M = {}

local OWN = { from = true, bare_names = "boolean", then_environment = "boolean",
  dns_suffix = "string", audience = "string", authority = "string" }
local VARIABLES = { connections = "AIRFLOW_CONN_", variables = "AIRFLOW_VAR_" }

-- A mistake of the policy file, as in other constructors.
local function refuse(text, ...)
  error({ code = "policy", text = "ml.airflow: " .. text:format(...) }, 0)
end

-- The policy's table -> kwargs, and what is ours.
local function split_options(opts)
  local given, own = {}, {}
  for key, value in pairs(opts or {}) do
    if type(key) ~= "string" then refuse("options are written name = value") end
    if OWN[key] then
      if OWN[key] ~= true and type(value) ~= OWN[key] then
        refuse("%s must be a %s", key, OWN[key])
      end
      own[key] = value
    elseif kwargs.is_known(key) then
      given[key] = value
    else
      refuse("there is no option '%s' (options: from, bare_names, then_environment, "
        .. "dns_suffix, audience, authority, %s)",
        key, kwargs.known_keys())
    end
  end
  return given, own
end

local function is_source(value)
  return type(value) == "table" and tostring(value):sub(1, 7) == "source "
end

-- The steps of one name: the vault, then perhaps the environment.
local function steps_of(rule, kind, id)
  local steps = {}
  local is_connection = kind == "connections"
  local empty = is_connection and "missing" or nil
  local holds = is_connection and "connection" or nil
  if rule.naming[kind] ~= nil then
    local key = names.build_path(rule.naming[kind], id, rule.naming.sep)
    steps[1] = { source = rule.vault, key = key, empty = empty, holds = holds }
  end
  if rule.environment and VARIABLES[kind] then
    local key = VARIABLES[kind] .. id:upper()
    steps[#steps + 1] = { source = rule.environment, key = key, empty = empty, holds = holds }
  end
  return steps
end

local function no_step(kind)
  local option = kind .. "_prefix"
  return { code = "missing",
    text = ("%s is null: %s are not looked up in the vault"):format(option, kind) }
end

local function null_separator()
  return { code = "policy", text = "sep is null: Airflow's backend fails at every "
    .. 'lookup with it; leave it out for "-"' }
end

local function map(rule, req)
  local kind, id = req.captures.kind, req.captures.id
  if rule.naming[kind] ~= nil and rule.naming.sep == nil then
    return nil, null_separator()
  end
  local steps = steps_of(rule, kind, id)
  if #steps == 0 then return nil, no_step(kind) end
  return steps
end

-- The name that a variable of the environment has; upper() cannot be undone, lower-case
-- leads back to the same variable.
local function from_variable(key)
  for kind, prefix in pairs(VARIABLES) do
    if key:sub(1, #prefix) == prefix then
      return "airflow/" .. kind .. "/" .. key:sub(#prefix + 1):lower()
    end
  end
  return nil
end

-- All names that might have this key.  Which source it came from does not matter: the
-- engine keeps the names whose plan holds that very step.
local function inverse(rule, key)
  local found = { names.unbuild_path(rule.naming, key) }
  if rule.environment then found[#found + 1] = from_variable(key) end
  for i, name in ipairs(rule.bare_names and found or {}) do
    found[i] = { name, (name:gsub("^airflow/", "")) }
  end
  return found
end

local function open_sources(own, vault, ml)
  local found = { vault = own.from }
  if vault then
    local credential = vault.principal and ml.client_secret(vault.principal)
    found.vault = ml.azure_key_vault {
      vault_url = vault.url, api_version = vault.api_version, credential = credential,
      verify_challenge_resource = vault.verify_challenge_resource,
      dns_suffix = own.dns_suffix, audience = own.audience, authority = own.authority,
    }
  end
  if own.then_environment then found.environment = ml.environment {} end
  return found
end

-- The rule.  ml has the constructors of a policy.  Raises {code="usage"} when the
-- settings cannot be used; does no I/O.
function M.rule(opts, ml)
  local given, own = split_options(opts)
  if own.from ~= nil and not is_source(own.from) then
    refuse("from must be a source, such as ml.azure_key_vault { ... }")
  end
  if own.from ~= nil and (own.dns_suffix or own.audience or own.authority) then
    refuse("from brings its own dns_suffix, audience and authority: set them there")
  end
  local naming, vault = kwargs.read(given, own.from == nil)
  local rule = open_sources(own, vault, ml)
  rule.naming, rule.bare_names = naming, own.bare_names
  local sources = { rule.vault }
  sources[#sources + 1] = rule.environment
  return {
    kind = "custom", label = "airflow", sources = sources,
    match = function(name)
      local kind, id = names.split(name, rule.bare_names)
      if kind then return { kind = kind, id = id } end
      return nil, "not an airflow/connections, airflow/variables or airflow/config name"
    end,
    map = function(req) return map(rule, req) end,
    inverse = function(_, key) return inverse(rule, key) end,
  }
end

return M
