-- fake_core.lua - a stand-in for the C module "moonlatch.core", with scripted sources.
--
--   local fake = require "support.fake_core"       -- also installs "moonlatch.core"
--   fake.reset {
--     env = { KEYVAULT_URL = "https://acme.vault.azure.net" },
--     vaults = { ["https://acme.vault.azure.net"] = {
--       hello = "a value",                                   -- found
--       rich  = { value = "v", content_type = "text/plain", tags = { a = "b" },
--                 version = "2", attributes = { enabled = true } },
--       gone  = { fails = "forbidden", http_status = 403 },  -- an error table
--       [fake.anything_else] = { fails = "unavailable" },    -- default: missing
--     } },
--     files = { ["/etc/ml/policy.lua"] = "return ..." },   -- what a load can read
--     deleted = { [url] = { name = true } },  -- what list_deleted answers
--   }
--   fake.calls   every src:call: { verb, source alias, key, args }, in order
--   fake.logs    every core.log: { level, area, text }
--   fake.vaults  options of every core.key_vault, in order
--   fake.plain   options of every other source but the environment
--   fake.reveal(secret)    the bytes, which Lua proper never sees
--
-- One table lives as long as the process, because modules keep what require gave them;
-- reset changes what stands behind it.
local cjson = require "cjson"

local fake = { anything_else = {} }
local core = { null = cjson.null }
local state

local hidden = setmetatable({}, { __mode = "k" }) -- secret -> its fields
local secret_methods = {}
local secret_meta = {
  __index = secret_methods, __name = "moonlatch.secret", __metatable = false,
  __tostring = function() return "secret (hidden)" end,
}

local function new_secret(fields)
  local s = setmetatable({}, secret_meta)
  hidden[s] = fields
  return s
end

local function copy(t)
  local c = {}
  for k, v in pairs(t or {}) do c[k] = v end
  return c
end

for _, field in ipairs { "name", "source", "key", "version", "content_type" } do
  secret_methods[field] = function(s) return hidden[s][field] or "" end
end
function secret_methods.tags(s) return copy(hidden[s].tags) end
function secret_methods.attributes(s) return copy(hidden[s].attributes) end
function secret_methods.has_value(s) return hidden[s].value ~= nil end
function secret_methods.is_empty(s) return hidden[s].value == "" end

function fake.secret(value, fields)
  local f = copy(fields)
  f.value = value
  return new_secret(f)
end

function fake.reveal(s) return hidden[s].value end

function core.with_name(s, name)
  local f = copy(hidden[s])
  f.name = name
  return new_secret(f)
end

function core.secret(text) return fake.secret(text) end

-- ---- values; the real ones are tested on their own (tests/unit/test_bind_value.c) ----

local function changed(s, value)
  local f = copy(hidden[s])
  f.value = value
  return new_secret(f)
end

function core.is_pointer(text)
  return (text == "" or text:find("^/") ~= nil) and not text:find("~[^01]") and not text:find("~$")
end

function core.field(s, pointer)
  local fine, v = pcall(cjson.decode, hidden[s].value)
  if not fine then return nil, "the secret is not JSON" end
  if pointer == "" then return changed(s, hidden[s].value) end
  for step in pointer:gmatch("/([^/]*)") do
    step = step:gsub("~1", "/"):gsub("~0", "~")
    if type(v) ~= "table" then v = nil end
    v = v and (v[step] or math.tointeger(step) and v[step + 1])
  end
  if v == nil then return nil, "there is no such field in the secret" end
  if v == cjson.null then return nil, "the field is null" end
  if type(v) == "number" then v = ("%.14g"):format(v) end
  return changed(s, type(v) == "table" and cjson.encode(v) or tostring(v))
end

local DECODE = {
  hex = function(text)
    if #text % 2 == 1 or text:find("%X") then return nil end
    return (text:gsub("..", function(d) return string.char(tonumber(d, 16)) end))
  end,
  base64 = function(text) return (require("support.base64")(text)) end,
}

function core.decode(s, how)
  local value = DECODE[how](hidden[s].value)
  if not value then return nil, "the secret is not " .. how end
  return changed(s, value)
end

function core.value_problem(s, limits)
  local n = #hidden[s].value
  if n < (limits.min_bytes or 0) then return "the secret is shorter than min_bytes" end
  if n > (limits.max_bytes or n) then return "the secret is longer than max_bytes" end
end

function core.transform(s, fn)
  local text = fn(hidden[s].value)
  if type(text) ~= "string" then return nil, "transform gave no text" end
  return changed(s, text)
end

local sha256 = require "support.sha256"
function core.sha256(text)
  return (sha256(text):gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end))
end
function core.hex(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

function core.describe(value, fields) return fake.secret(value, fields) end

-- No cache: kept.lua hands the source back.
function core.kept() return nil end

function core.wall_s() return state.wall_s end

-- ---- sources ----

local source_methods = {}
local source_meta = { __index = source_methods, __name = "moonlatch.source" }
local inside = setmetatable({}, { __mode = "k" }) -- source -> { alias, kind, keys, ... }

function source_methods.alias(s) return inside[s].alias end
function source_methods.kind(s) return inside[s].kind end
function source_methods.label(s) return inside[s].label end
function source_methods.writable(s) return inside[s].kind == "key_vault" end

function source_methods.check(s, key)
  if inside[s].kind == "key_vault" then
    if #key >= 1 and #key <= 127 and not key:find("[^0-9A-Za-z-]") then return true end
    return nil, "a Key Vault secret name has 1 to 127 letters, digits and hyphens"
  end
  if key ~= "" and not key:find("[=%z]") then return true end
  return nil, "a variable name is not empty and has no '='"
end

local function failure(src, key, spec)
  local e = copy(spec)
  e.code, e.fails, e.at = spec.fails, nil, nil
  e.text = e.text or ("scripted: " .. spec.fails)
  e.source, e.key = src.alias, key
  return nil, e
end

local function found(src, key, spec, with_value)
  local f = type(spec) == "table" and copy(spec) or { value = spec }
  f.source, f.key = src.alias, f.key or key
  f.version = f.version or "1"
  if not with_value then f.value = nil end
  return new_secret(f)
end

local function lookup(src, key)
  local folded = src.kind == "key_vault"
  for k, v in pairs(src.keys) do
    if k ~= fake.anything_else and
      (k == key or folded and k:lower() == key:lower()) then return v end
  end
  return src.keys[fake.anything_else] or { fails = "missing", http_status = 404 }
end

local verbs = {}

function verbs.get(src, args)
  local v = lookup(src, args.key)
  if type(v) == "table" and v.fails then return failure(src, args.key, v) end
  return found(src, args.key, v, true)
end

function verbs.put(src, args)
  local v = lookup(src, args.key)
  if type(v) == "table" and v.put_fails then
    return failure(src, args.key, { fails = v.put_fails })
  end
  src.keys[args.key] = {
    value = fake.reveal(args.value), content_type = args.content_type,
    tags = copy(args.tags), version = "new",
  }
  return found(src, args.key, src.keys[args.key], false)
end

local function metadata(src, args)
  local v = lookup(src, args.key)
  if type(v) == "table" and v.fails then return failure(src, args.key, v) end
  return found(src, args.key, v, false)
end
verbs.update, verbs.recover, verbs.get_deleted = metadata, metadata, metadata

function verbs.delete(src, args)
  local s, e = metadata(src, args)
  if s then src.keys[args.key] = nil end
  return s, e
end

function verbs.versions(src, args)
  local s, e = metadata(src, args)
  if not s then return nil, e end
  if fake.no_versions then return {} end -- as the service answers for what is not there
  return { s, s }
end

function verbs.purge(src, args)
  local s, e = metadata(src, args)
  if not s then return nil, e end
  return true
end

function verbs.backup(src, args)
  local s, e = metadata(src, args)
  if not s then return nil, e end
  return fake.secret("blob of " .. args.key, { source = src.alias, key = args.key })
end

function verbs.restore(src, args)
  return new_secret { source = src.alias, key = fake.reveal(args.value):match("of (.*)") }
end

local function listed(src, keys)
  local whole = src.keys[fake.list_answer]
  if whole then return failure(src, "", whole) end
  local out = {}
  for k, v in pairs(keys) do
    if type(k) == "string" then out[#out + 1] = found(src, k, v, false) end
  end
  return out
end

fake.list_answer = {} -- keys[fake.list_answer] = { fails = ... }: listing fails

function verbs.list(src) return listed(src, src.keys) end
function verbs.list_deleted(src) return listed(src, src.deleted) end

local read_only = { get = true, list = true }

function source_methods.call(s, verb, args)
  local src = inside[s]
  args = args or {}
  fake.calls[#fake.calls + 1] = { verb, src.alias, args.key, args }
  state.now = state.now + 5
  if src.kind == "environment" and not read_only[verb] then
    return failure(src, args.key, { fails = "usage", text = "read-only" })
  end
  return verbs[verb](src, args)
end

-- What the cache would have: state.kept[alias .. ":" .. key] = { secret =, age_ms =,
-- state =, ms = }; see fake.keep.
function source_methods.stale(s, key, version, max_age_ms)
  local k = state.kept[inside[s].alias .. ":" .. key]
  fake.stale_asked = { key = key, version = version, max_age_ms = max_age_ms }
  if k and k.secret and k.age_ms <= (max_age_ms or 3600000) then return k.secret, k.age_ms end
end

function source_methods.kept(s, key)
  local k = state.kept[inside[s].alias .. ":" .. key]
  if k then return k.state, k.ms end
end

function fake.keep(place, k) state.kept[place] = k end

local function new_source(fields)
  local s = setmetatable({}, source_meta)
  inside[s] = fields
  return s
end

function core.key_vault(t)
  if type(t.vault_url) ~= "string" or not t.vault_url:find("^https://[^@]+$") then
    error({ code = "usage", text = "vault_url: an https:// URL is needed" }, 0)
  end
  fake.vaults[#fake.vaults + 1] = t
  local url = t.vault_url:gsub("/$", "")
  return new_source {
    alias = t.alias, kind = "key_vault", label = url,
    keys = state.vaults[url] or {}, deleted = state.deleted[url] or {},
  }
end

function core.environment(t)
  return new_source {
    alias = t.alias, kind = "environment", label = "environment", keys = state.env,
  }
end

-- Files and the host's sources: keys come from script.contents[path or name].
for _, kind in ipairs { "dotenv", "file", "directory", "local_file", "host_source" } do
  core[kind] = function(t)
    fake.plain[#fake.plain + 1] = t
    return new_source { alias = t.alias, kind = kind, label = kind,
      keys = state.contents[t.path or t.name] or {} }
  end
end

-- ---- files ----

function core.policy_file(path)
  if state.files[path] then return state.files[path], false end
  for name in pairs(state.files) do
    if name:sub(1, #path + 1) == path .. "/" then return nil, "Is a directory", true end
  end
  return nil, "No such file or directory", false
end

function core.policy_file_below(dir, path)
  if path:find("%.%.") or path:sub(1, 1) == "/" then return nil, "it is not below" end
  local text = state.files[dir:gsub("/*$", "/") .. path]
  if text then return text, false end
  return nil, "No such file or directory"
end

function core.renew_budget() end

function core.policy_names(dir)
  local names, below = {}, dir:gsub("/*$", "/")
  for name in pairs(state.files) do
    local base = name:sub(1, #below) == below and name:sub(#below + 1)
    if base and base:find("^[^./][^/]*%.lua$") then names[#names + 1] = base end
  end
  table.sort(names)
  return names
end

-- ---- the rest ----

function core.env(name) return state.env[name] end

function core.env_secret(name)
  local v = state.env[name]
  if v == nil or v == "" then return nil end
  return fake.secret(v)
end

function core.env_names(prefix)
  local names = {}
  for name in pairs(state.env) do
    if name:sub(1, #prefix) == prefix then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

function core.env_json(name, secret_keys)
  local text = state.env[name]
  if text == nil then return nil end
  local fine, value = pcall(cjson.decode, text)
  if not fine then
    error({ code = "usage", text = name .. " is not JSON: line 1, column 1: scripted" }, 0)
  end
  for _, k in ipairs(type(value) == "table" and secret_keys or {}) do
    if type(value[k]) == "string" then value[k] = fake.secret(value[k]) end
  end
  return value
end

function core.log(level, area, text)
  fake.logs[#fake.logs + 1] = { level, area, text }
end

core.limited = pcall
function core.spend() end


function core.used_instructions() return state.used_instructions or 0, 1000 end

function core.same(secret, text) return hidden[secret].value == text end

function core.log_wants() return true end

-- Nobody listens.
function core.asking() end

-- How long the answer may be kept: fake.keep_at_most, false for the default.
function core.keep_at_most(ms) fake.keep_at_most = ms or false end

function core.by_rule(where) fake.by_rule = where end

-- With fake.tick set, time passes by looking at it.
function core.now_ms()
  state.now = state.now + (fake.tick or 0)
  return state.now
end

function core.events()
  local e = state.events
  state.events = {}
  return e
end

-- What the next core.events() answers.
function fake.add_event(what, text)
  state.events[#state.events + 1] = { at_ms = state.now, what = what, text = text }
end

function fake.reset(script)
  script = script or {}
  state = {
    env = script.env or {}, vaults = script.vaults or {},
    deleted = script.deleted or {}, files = script.files or {}, events = {}, now = 0,
    wall_s = script.wall_s or 0, contents = script.contents or {}, kept = {},
  }
  fake.calls, fake.logs, fake.vaults, fake.plain = {}, {}, {}, {}
  fake.keep_at_most, fake.stale_asked, fake.by_rule = nil, nil, nil
end

fake.core = core
fake.reset()
package.loaded["moonlatch.core"] = core
return fake
