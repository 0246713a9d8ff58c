-- moonlatch.source.vault - HashiCorp Vault or OpenBao, key/value version 2, as a source.
--
-- Written with what every policy has; copy it into a policy of yours to change it.
--
--   local vault = require "moonlatch.source.vault"
--   local kv = vault {
--     url       = "https://vault.example:8200",
--     token     = ml.env_secret "VAULT_TOKEN",
--     -- or, instead of token:
--     approle   = { role_id = ml.env "ROLE_ID", secret_id = ml.env_secret "VAULT_SECRET_ID",
--                   mount = "approle" },
--     mount     = "secret",        -- where the key/value engine is
--     namespace = nil, field = nil, alias = "vault", ca_file = nil,
--     timeout_ms = 10000, retries = 2,
--   }
--
-- A key is a path, "app/db": the answer is the whole object as JSON, from which a rule may
-- take a field.  "app/db#password", or field = "password" for every key, is one member.
-- A version is a number.
local ml = require "moonlatch.policy"

local OPTIONS = {
  url = "string", token = "secret", approle = "table", mount = "string",
  namespace = "string", field = "string", alias = "string", ca_file = "string",
  timeout_ms = "number", retries = "number",
}
local MAX_FOLDERS = 1000

local function check_options(o)
  for name, value in pairs(o) do
    local want = OPTIONS[name]
    if not want then error("vault: there is no option '" .. tostring(name) .. "'", 3) end
    local is_secret = want == "secret" and type(value) == "userdata"
    if want == "secret" and not is_secret then
      error("vault: the option 'token' needs ml.env_secret \"NAME\"", 3)
    elseif want ~= "secret" and type(value) ~= want then
      error(("vault: the option '%s' must be a %s"):format(name, want), 3)
    end
  end
  if not o.url then error("vault: the option 'url' is needed", 3) end
  if (o.token == nil) == (o.approle == nil) then
    error("vault: give one of 'token' and 'approle'", 3)
  end
  if o.approle and not (o.approle.role_id and o.approle.secret_id) then
    error("vault: 'approle' needs role_id and secret_id", 3)
  end
end

-- "a b/c" -> "a%20b/c"
local function escaped(path)
  return (path:gsub("[^/]+", ml.url_encode))
end

-- The service's own words: paths and reasons, never values.  nil: not Vault's JSON.
local function errors_of(answer)
  local fine, list = pcall(ml.json.texts, answer.body, "/errors")
  if not fine or not list then return nil end
  return table.concat(list, "; "):gsub("%s+", " "):sub(1, 200)
end

local function text_at(answer, pointer)
  local fine, text = pcall(ml.json.text, answer.body, pointer)
  return fine and text or nil
end

-- What a status other than 200 and 404 means.
local function failure(answer, what)
  local status, said = answer.status, errors_of(answer)
  local text = ("%s answered HTTP %d%s"):format(what, status,
    said and said ~= "" and ": " .. said or "")
  if status == 403 then
    local is_token = said and said:find("invalid token", 1, true)
    return nil, is_token and "unauthenticated" or "forbidden", text
  end
  if status == 429 then return nil, "throttled", text, answer.retry_after_ms end
  if status == 412 or status >= 500 or status == 472 or status == 473 then
    return nil, "unavailable", text, answer.retry_after_ms
  end
  if status >= 300 and status < 400 then
    return nil, "unavailable", text .. " (a redirect is not followed: use the address of "
      .. "the active node, or of the cluster)"
  end
  return nil, "invalid", text
end

local function headers_with(o, token)
  return { ["X-Vault-Request"] = "true", ["X-Vault-Namespace"] = o.namespace,
           ["X-Vault-Token"] = token, ["Content-Type"] = "application/json" }
end

local function login(o)
  local role = o.approle
  local answer, outcome, text = ml.http {
    method = "POST", headers = headers_with(o), ca_file = o.ca_file,
    url = ("%s/v1/auth/%s/login"):format(o.url, escaped(role.mount or "approle")),
    body = ml.json.encode { role_id = role.role_id, secret_id = role.secret_id },
    timeout_ms = o.timeout_ms,
  }
  if not answer then return nil, outcome, text end
  if answer.status == 400 or answer.status == 403 then
    local _, _, told = failure(answer, "the login")
    return nil, "unauthenticated", told
  end
  if answer.status ~= 200 then return failure(answer, "the login") end
  local token = ml.json.field(answer.body, "/auth/client_token")
  local seconds = tonumber(text_at(answer, "/auth/lease_duration"))
  if not token or not seconds then
    return nil, "invalid", "the login answered without a token"
  end
  return token, seconds == 0 and 3600 or seconds * 0.9
end

local function token_for(o, ctx)
  if o.token then return o.token end
  return ctx.memo:once("token", function() return login(o) end)
end

local function fetch(o, ctx, path)
  local token, outcome, text, retry_after_ms = token_for(o, ctx)
  if not token then return nil, outcome, text, retry_after_ms end
  return ml.http {
    url = ("%s/v1/%s/%s"):format(o.url, escaped(o.mount or "secret"), path),
    headers = headers_with(o, token), ca_file = o.ca_file, timeout_ms = o.timeout_ms,
    retries = o.retries or 2,
  }
end

-- A token may have been revoked: one that was logged in for is bought anew, once.
local function ask(o, ctx, path)
  local answer, outcome, text, retry_after_ms = fetch(o, ctx, path)
  if answer and answer.status == 403 and o.approle then
    ctx.memo:drop("token")
    answer, outcome, text, retry_after_ms = fetch(o, ctx, path)
  end
  return answer, outcome, text, retry_after_ms
end

-- A path that is not there has an empty list of errors; a mount that is not there, or a
-- proxy's own 404, is no absence.
local function not_there(answer)
  local said = errors_of(answer)
  if said == "" then return nil, "missing", "there is nothing at this path" end
  if (text_at(answer, "/data/metadata/deletion_time") or "") ~= ""
    or text_at(answer, "/data/metadata/destroyed") == "true" then
    return nil, "missing", "this version is deleted"
  end
  return nil, "invalid", "HTTP 404" .. (said and ": " .. said
    or " that is not Vault's: is the url right?")
end

local function pointer_to(field)
  return "/data/data/" .. field:gsub("~", "~0"):gsub("/", "~1")
end

local function get(o, key, ctx)
  local path, field = key:match("^([^#]+)#?(.*)$")
  field = field ~= "" and field or o.field
  local query = ""
  if ctx.version then
    if not ctx.version:find("^%d+$") then
      return nil, "invalid", "versions of this source are numbers"
    end
    query = "?version=" .. ctx.version
  end
  local answer, outcome, text, retry_after_ms = ask(o, ctx, "data/" .. escaped(path) .. query)
  if not answer then return nil, outcome, text, retry_after_ms end
  if answer.status == 404 then return not_there(answer) end
  if answer.status ~= 200 then return failure(answer, "the server") end
  local value = ml.json.field(answer.body, field and pointer_to(field) or "/data/data")
  if not value then
    if field and ml.json.field(answer.body, "/data/data") then
      return nil, "missing", ("there is no member '%s'"):format(field)
    end
    return nil, "invalid", "the answer holds no data: is it version 2 of the engine?"
  end
  return value, {
    version = text_at(answer, "/data/metadata/version"),
    content_type = not field and "application/json" or nil,
  }
end

local function list(o, ctx)
  local keys, folders, done = {}, { "" }, 0
  while #folders > 0 do
    local folder = table.remove(folders)
    done = done + 1
    if done > MAX_FOLDERS then return nil, "invalid", "there are too many folders" end
    local answer, outcome, text, retry_after_ms =
      ask(o, ctx, "metadata/" .. escaped(folder) .. "?list=true")
    if not answer then return nil, outcome, text, retry_after_ms end
    local is_empty = answer.status == 404 and errors_of(answer) == ""
    if answer.status == 404 and not is_empty then return not_there(answer) end
    if answer.status ~= 200 and not is_empty then return failure(answer, "the server") end
    for _, name in ipairs(not is_empty and ml.json.texts(answer.body, "/data/keys") or {}) do
      local into = name:sub(-1) == "/" and folders or keys
      into[#into + 1] = folder .. name
    end
  end
  return keys
end

local function check(key)
  local path = key:match("^([^#]+)")
  if not path then return "a path is needed" end
  if path:find("^/") or path:find("/$") or path:find("//", 1, true) then
    return "a path has no empty parts and no '/' at its ends"
  end
  for part in path:gmatch("[^/]+") do
    if part == "." or part == ".." then return "a path has no '.' and '..'" end
  end
end

return function(o)
  if type(o) ~= "table" then error("vault: a table of options is needed", 2) end
  check_options(o)
  o.url = o.url:gsub("/+$", "")
  return ml.source {
    alias = o.alias or "vault", label = o.url, check = check,
    get = function(key, ctx) return get(o, key, ctx) end,
    list = function(ctx) return list(o, ctx) end,
  }
end
