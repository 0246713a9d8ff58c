-- sources.lua - the sources and credentials that a policy file makes.
--
-- A policy holds handles: empty tables with one method, key().  What stands behind a
-- handle (core's source) is known to this registry alone.
local core = require "moonlatch.core"
local options = require "moonlatch.options"

local M = {}

local MAX_ALIAS = 63 -- ml_err.source holds no more

local function check_alias(v)
  if type(v) ~= "string" or not v:find("^[%w_][%w_.-]*$") or #v > MAX_ALIAS then
    return "letters, digits, '_', '.' and '-' are needed, at most " .. MAX_ALIAS
  end
end

local VAULT_OPTIONS = {
  vault_url = options.not_empty, credential = "table", api_version = options.not_empty,
  audience = options.not_empty, authority = options.not_empty,
  dns_suffix = options.not_empty, alias = check_alias,
  verify_challenge_resource = "boolean",
}

local function check_secret(v)
  if type(v) == "string" then
    return 'a secret does not belong into a policy file: use ml.env_secret "NAME"'
  end
  if not options.is_secret(v) then return "an ml.env_secret is needed" end
end

local CREDENTIAL_OPTIONS = {
  tenant_id = options.not_empty, client_id = options.not_empty,
  client_secret = check_secret,
}

-- "https://acme.vault.azure.net/" -> "acme"; an address stays whole.
local function alias_of_url(url)
  local host = url:match("^%a+://([%w.-]+)") or "vault"
  if host:find("^[%d.]+$") then return host end
  return host:match("^[^.]+"):sub(1, MAX_ALIAS - 4)
end

local function unique(taken, alias)
  local candidate, n = alias, 1
  while taken[candidate] do
    n = n + 1
    candidate = alias .. "-" .. n
  end
  return candidate
end

-- Raises what core raises, with the user's line in front.
local function made(where, make, t)
  local fine, raw = pcall(make, t)
  if fine then return raw end
  if type(raw) == "table" and raw.text then raw.text = where .. ": " .. raw.text end
  error(raw, 0)
end

-- The place is looked for only when it is needed: that costs more than the rest of a map.
local function check_key(here, key, version)
  if type(key) ~= "string" then
    options.refuse(here(), "source:key() needs the key as a string, not %s",
      options.article(type(key)))
  end
  if version ~= nil and type(version) ~= "string" then
    options.refuse(here(), "source:key(): the version must be a string, not %s%s",
                   options.article(type(version)), type(version) == "number"
                   and " (gsub returns two values: put it in parentheses)" or "")
  end
end

-- here() -> "file:line" of the policy.  Returns the registry of one policy:
--   azure_key_vault, client_secret, environment, source   the constructors
--   of(handle) -> entry { handle, alias, kind, label, writable, raw } | nil
--   is_handle(v) -> boolean
function M.registry(here)
  local entries, credentials, taken = {}, {}, {}
  local R = {}

  local handle_meta = {
    __index = {
      key = function(handle, key, version)
        if not entries[handle] then
          options.refuse(here(), "key() is a method: write source:key(...)")
        end
        check_key(here, key, version)
        return { source = handle, key = key, version = version }
      end,
    },
    __newindex = function() options.refuse(here(), "a source cannot be changed") end,
    __tostring = function(handle)
      return "source " .. (entries[handle] and entries[handle].alias or "")
    end,
    __metatable = false,
  }

  local function pick_alias(where, asked, fallback)
    if asked and taken[asked] then
      options.refuse(where, "two sources have the alias '%s'", asked)
    end
    local alias = asked or unique(taken, fallback)
    taken[alias] = true
    return alias
  end

  local function register(raw)
    local handle = setmetatable({}, handle_meta)
    entries[handle] = {
      handle = handle, alias = raw:alias(), kind = raw:kind(), label = raw:label(),
      writable = raw:writable(), raw = raw,
    }
    return handle
  end

  function R.of(handle) return entries[handle] end
  function R.is_handle(v) return v ~= nil and entries[v] ~= nil end

  function R.client_secret(t)
    local where = here()
    options.check(where, "ml.client_secret", t, CREDENTIAL_OPTIONS)
    for _, k in ipairs { "tenant_id", "client_id", "client_secret" } do
      if t[k] == nil then options.refuse(where, "ml.client_secret needs '%s'", k) end
    end
    local credential = setmetatable({}, { __metatable = false })
    credentials[credential] = {
      tenant_id = t.tenant_id, client_id = t.client_id, client_secret = t.client_secret,
    }
    return credential
  end

  function R.azure_key_vault(t)
    local where = here()
    options.check(where, "ml.azure_key_vault", t, VAULT_OPTIONS)
    if not t.vault_url then options.refuse(where, "ml.azure_key_vault needs 'vault_url'") end
    local c = {}
    if t.credential ~= nil then
      c = credentials[t.credential]
      if not c then
        options.refuse(where, "credential: ml.client_secret { ... } is needed")
      end
    end
    return register(made(where, core.key_vault, {
      alias = pick_alias(where, t.alias, alias_of_url(t.vault_url)),
      vault_url = t.vault_url, api_version = t.api_version, dns_suffix = t.dns_suffix,
      audience = t.audience, authority = t.authority,
      skip_challenge_check = t.verify_challenge_resource == false,
      tenant_id = c.tenant_id, client_id = c.client_id, client_secret = c.client_secret,
    }))
  end

  function R.environment(t)
    local where = here()
    t = options.check(where, "ml.environment", t or {}, { alias = check_alias })
    return register(made(where, core.environment, {
      alias = pick_alias(where, t.alias, "environment"),
    }))
  end

  function R.source(t)
    local where = here()
    local lua_source = require "moonlatch.lua_source" -- most policies have none
    options.check(where, "ml.source", t, lua_source.OPTIONS)
    local problem = t.alias ~= nil and check_alias(t.alias)
    if problem then options.refuse(where, "ml.source, option 'alias': %s", problem) end
    return register(lua_source.new(where, t, pick_alias(where, t.alias, "lua")))
  end

  return R
end

return M
