-- airflow_kwargs.lua - read the secrets backend's settings as Airflow hands them to
-- AzureKeyVaultBackend.
--
-- Three layers, the later one wins per key:
--   AIRFLOW__SECRETS__BACKEND_KWARGS         a JSON object
--   AIRFLOW__SECRETS__BACKEND_KWARG__<KEY>   one kwarg; key lower-cased, value raw text
--   ml.airflow { key = ... }                 the policy
--
-- Airflow takes per-key values as raw texts and does not parse them as JSON: null, true
-- and false mean those letters there, and so they do here (with a warning).
--
-- Where Airflow goes on in silence this speaks: malformed JSON is an error instead of
-- no settings at all, a kwarg that nobody reads and a partial service principal are
-- warned about.  The client secret is a handle of the core, never a Lua text, and no
-- message holds the value of any setting.
--
-- Not here: what a name maps to (airflow_names.lua), the rule (airflow.lua).
local core = require "moonlatch.core"
local names = require "moonlatch.airflow_names"

local M = {}

M.VARIABLE = "AIRFLOW__SECRETS__BACKEND_KWARGS"
M.PER_KEY = "AIRFLOW__SECRETS__BACKEND_KWARG__"
M.BACKEND = "AIRFLOW__SECRETS__BACKEND"

local DEFAULTS = {
  connections_prefix = "airflow-connections",
  variables_prefix = "airflow-variables",
  config_prefix = "airflow-config",
  sep = "-",
}

-- Every kwarg that we read, in the order in which messages name them.
local KNOWN = {
  "connections_prefix", "variables_prefix", "config_prefix", "sep", "vault_url",
  "tenant_id", "client_id", "client_secret",
  "managed_identity_client_id", "workload_identity_tenant_id",
  "api_version", "verify_challenge_resource",
}
local PRINCIPAL = { "tenant_id", "client_id", "client_secret" }
local IDENTITY = { "managed_identity_client_id", "workload_identity_tenant_id" }

local is_known = {}
for _, key in ipairs(KNOWN) do is_known[key] = true end

local function usage(text, ...)
  error({ code = "usage", text = text:format(...) }, 0)
end

local function warn(text, ...)
  core.log("warn", "airflow", text:format(...))
end

-- The JSON object of the environment; {} when the variable is not set, or empty.
local function read_json()
  if core.env_secret(M.VARIABLE) == nil then return {} end -- looks without reading it
  local kwargs = core.env_json(M.VARIABLE, { "client_secret" })
  if type(kwargs) ~= "table" or kwargs == core.null or #kwargs > 0 then
    usage('%s is JSON but not an object: it must look like {"vault_url": "..."}',
      M.VARIABLE)
  end
  return kwargs
end

-- Names of kwargs that variables of their own give: those we know, those of the JSON
-- object, and, when the core can list variables, all others.
local function per_key_candidates(kwargs)
  local keys = {}
  for _, key in ipairs(KNOWN) do keys[key] = M.PER_KEY .. key:upper() end
  for key in pairs(kwargs) do keys[key] = M.PER_KEY .. key:upper() end
  for _, name in ipairs(core.env_names(M.PER_KEY)) do
    local key = name:sub(#M.PER_KEY + 1)
    if key ~= "" then keys[key:lower()] = name end
  end
  return keys
end

local function warn_literal(name, value)
  if value == "null" or value == "true" or value == "false" then
    warn("%s is the text \"%s\": as in Airflow, only %s can say JSON %s",
      name, value, M.VARIABLE, value)
  end
end

local function add_per_key(kwargs)
  for key, name in pairs(per_key_candidates(kwargs)) do
    if key == "client_secret" then
      local secret = core.env_secret(name)
      if secret then kwargs[key] = secret end
    elseif is_known[key] then
      local value = core.env(name)
      if value then
        warn_literal(name, value)
        kwargs[key] = value
      end
    elseif core.env_secret(name) then
      kwargs[key] = core.null -- only its name matters: nobody reads it
    end
  end
end

-- One warning for all kwargs that Airflow would pass on to the SDK and nobody here
-- reads.
local function warn_unknown(kwargs)
  local unknown = {}
  for key in pairs(kwargs) do
    if not is_known[key] then unknown[#unknown + 1] = key end
  end
  if #unknown == 0 then return end
  table.sort(unknown)
  warn("ignored, because this backend does not read %s: %s",
    #unknown == 1 and "it" or "them", table.concat(unknown, ", "))
end

local function warn_backend()
  local backend = core.env(M.BACKEND)
  if backend and backend ~= "" and not backend:find("%.AzureKeyVaultBackend$") then
    warn("%s names another backend than AzureKeyVaultBackend; its settings are read "
      .. "as that one's all the same", M.BACKEND)
  end
end

-- What Python holds for false; nil (not given) is something else.
local function is_off(value)
  return value == false or value == core.null or value == 0 or value == ""
end

-- A text, or "" for what is not there or what Python holds for false.
local function text_of(kwargs, key)
  local value = kwargs[key]
  if value == nil or is_off(value) then return "" end
  if type(value) ~= "string" then
    usage("%s must be a text, not a %s", key, type(value))
  end
  return value
end

-- nil when there is none, else the handle.
local function secret_of(kwargs)
  local value = kwargs.client_secret
  if value == nil or is_off(value) then return nil end
  if tostring(value) ~= "secret (hidden)" then
    usage("client_secret must be a text in %s, or ml.env_secret \"NAME\" in a policy",
      M.VARIABLE)
  end
  if value.is_empty and value:is_empty() then return nil end
  return value
end

-- Airflow: all three or the default credential, in silence.  We: the same, and say so.
local function service_principal(kwargs)
  local found = {
    tenant_id = text_of(kwargs, "tenant_id"), client_id = text_of(kwargs, "client_id"),
    client_secret = secret_of(kwargs),
  }
  local missing = {}
  for _, key in ipairs(PRINCIPAL) do
    if not found[key] or found[key] == "" then missing[#missing + 1] = key end
  end
  if #missing == 0 then return found end
  if #missing < #PRINCIPAL then
    warn("the service principal lacks %s: it is not used, as in Airflow; "
      .. "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are",
      table.concat(missing, " and "))
  end
  return nil
end

local function warn_identity(kwargs)
  for _, key in ipairs(IDENTITY) do
    if text_of(kwargs, key) ~= "" then
      warn("%s is accepted, but this build has no managed identity yet: it uses the "
        .. "service principal of the kwargs or of AZURE_*", key)
    end
  end
end

-- nil = JSON null = the kind is never asked for.
local function prefix_of(kwargs, key, sep)
  local prefix = kwargs[key]
  if prefix == core.null then return nil end
  if prefix == nil then prefix = DEFAULTS[key] end
  if type(prefix) ~= "string" and prefix ~= false and prefix ~= 0 then
    usage("%s must be a text or null, not a %s", key, type(prefix))
  end
  return names.strip_prefix(prefix, sep)
end

local function naming_of(kwargs)
  local sep = kwargs.sep
  if sep == core.null then sep = nil
  elseif sep == nil then sep = DEFAULTS.sep
  elseif type(sep) ~= "string" then usage("sep must be a text, not a %s", type(sep)) end
  local naming = { sep = sep }
  for _, kind in ipairs(names.KINDS) do
    naming[kind] = prefix_of(kwargs, kind .. "_prefix", sep)
  end
  return naming
end

-- { url, api_version, verify_challenge_resource, principal }: how to reach the vault.
local function vault_of(kwargs)
  local url, api_version = text_of(kwargs, "vault_url"), text_of(kwargs, "api_version")
  if url == "" then
    usage('vault_url is missing: set it in %s, for example {"vault_url": '
      .. '"https://my-vault.vault.azure.net"}', M.VARIABLE)
  end
  warn_identity(kwargs)
  return {
    url = url, api_version = api_version ~= "" and api_version or nil,
    verify_challenge_resource = not is_off(kwargs.verify_challenge_resource),
    principal = service_principal(kwargs),
  }
end

-- Is any kind left that may be asked for?
local function any_enabled(naming)
  for _, kind in ipairs(names.KINDS) do
    if naming[kind] ~= nil then return true end
  end
  return false
end

-- overrides: kwargs of the policy (false there disables a kind, Lua having no null).
-- wants_vault: false when the policy brings a source of its own.
-- Returns the naming and, if a vault is needed, how to reach it.  Raises
-- {code="usage"}.
function M.read(overrides, wants_vault)
  local kwargs = read_json()
  add_per_key(kwargs)
  warn_backend()
  warn_unknown(kwargs)
  for key, value in pairs(overrides) do
    if value == false and key:find("_prefix$") then value = core.null end
    kwargs[key] = value
  end
  local naming = naming_of(kwargs)
  if not wants_vault or not any_enabled(naming) then return naming, nil end
  return naming, vault_of(kwargs)
end

function M.known_keys()
  return table.concat(KNOWN, ", ")
end

-- Is this a kwarg that a policy may give?
function M.is_known(key)
  return is_known[key] == true
end

return M
