-- sources.lua - the sources and credentials that a policy file makes.
--
-- A policy holds handles: empty tables with one method, key().  What stands behind a
-- handle (core's source) is known to this registry alone.
local core = require "moonlatch.core"
local loader = require "moonlatch.loader"
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

local function check_holds(v)
  if v ~= "variables" and v ~= "connections" then
    return '"variables" or "connections" is needed'
  end
end

-- The sources whose options go to core as they are: what they take besides an alias, and
-- which of it they cannot do without.
local PLAIN = {
  environment = { takes = {} },
  dotenv = { needs = "path", takes = { path = options.not_empty, optional = "boolean" } },
  file = { needs = "path", takes = { path = options.not_empty, optional = "boolean",
    trim_newline = "boolean", key = options.not_empty } },
  directory = { needs = "path", takes = { path = options.not_empty, optional = "boolean",
    trim_newline = "boolean", hidden = "boolean" } },
  local_file = { needs = "path", takes = { path = options.not_empty, optional = "boolean",
    holds = check_holds } },
  host_source = { needs = "name", takes = { name = options.not_empty } },
}
for _, spec in pairs(PLAIN) do spec.takes.alias = check_alias end

-- An alias from the last part of a path or name: "/run/secrets/.db env" -> "db-env".
local function alias_of_name(name, kind)
  local last = name:match("([^/]*)/*$"):gsub("^[^%w_]+", ""):gsub("[^%w_.-]", "-")
  return last ~= "" and last:sub(1, MAX_ALIAS - 4) or kind
end

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

local function full_path(where, what, scope, path)
  local full, problem = loader.resolve(scope or {}, path)
  if not full then options.refuse(where, "%s, option 'path': %s", what, problem) end
  return full
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

-- here() -> "file:line" of the policy; scope: what it shares with other files, see
-- loader.lua.  Returns the registry of one file:
--   constructors           azure_key_vault, client_secret, environment, dotenv ... by name
--   of(handle) -> entry { handle, alias, kind, label, writable, raw } | nil
--   is_handle(v) -> boolean
--   adopt(entry) -> handle                        of a source that another file made
function M.registry(here, scope)
  local entries, credentials = {}, {}
  local taken, own, prefix = scope and scope.taken or {}, {}, scope and scope.prefix or ""
  local R = { constructors = {} }

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

  -- Files of teams do not learn which aliases others have.
  local function pick_alias(where, asked, fallback)
    local earlier = asked and (prefix == "" and taken or own)[asked]
    if earlier then
      options.refuse(where, "two sources have the alias '%s': the other one is at %s",
        asked, earlier)
    end
    local alias = prefix == "" and asked
      or unique(taken, (prefix .. (asked or fallback)):sub(1, MAX_ALIAS - 4))
    own[asked or alias], taken[alias] = where, where
    return alias
  end

  local function register(raw)
    local handle = setmetatable({}, handle_meta)
    entries[handle] = {
      handle = handle, where = here(), alias = raw:alias(), kind = raw:kind(),
      label = raw:label(), writable = raw:writable(), raw = raw,
    }
    return handle
  end

  function R.adopt(entry)
    entry.handle = setmetatable({}, handle_meta)
    entries[entry.handle] = entry
    return entry.handle
  end

  function R.of(handle) return entries[handle] end

  -- Array of all entries, by alias; those that were adopted, too.
  function R.all()
    local list = {}
    for _, entry in pairs(entries) do list[#list + 1] = entry end
    table.sort(list, function(a, b) return a.alias < b.alias end)
    return list
  end

  function R.is_handle(v) return v ~= nil and entries[v] ~= nil end

  function R.constructors.client_secret(t)
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

  function R.constructors.azure_key_vault(t)
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

  local function plain(kind, spec)
    local what = "ml." .. kind
    return function(t)
      local where = here()
      if t == nil and not spec.needs then t = {} end
      options.check(where, what, t, spec.takes)
      local name = spec.needs and t[spec.needs]
      if spec.needs and name == nil then
        options.refuse(where, "%s needs '%s'", what, spec.needs)
      end
      local o = {}
      for k, v in pairs(t) do o[k] = v end
      if t.path then o.path = full_path(where, what, scope, t.path) end
      o.alias = pick_alias(where, t.alias, name and alias_of_name(name, kind) or kind)
      return register(made(where, core[kind], o))
    end
  end
  for kind, spec in pairs(PLAIN) do R.constructors[kind] = plain(kind, spec) end

  function R.constructors.source(t)
    local where = here()
    local kept = require "moonlatch.kept" -- most policies have none
    local lua_source = require "moonlatch.lua_source"
    options.check(where, "ml.source", t, lua_source.OPTIONS)
    local problem = t.alias ~= nil and check_alias(t.alias)
    if problem then options.refuse(where, "ml.source, option 'alias': %s", problem) end
    return register(kept.wrap(lua_source.new(where, t, pick_alias(where, t.alias, "lua"))))
  end

  return R
end

return M
