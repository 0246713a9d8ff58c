-- fake_tools.lua - the part of the fake core that sources in Lua are made of.
--
--   local tools = require "support.fake_tools"       -- adds to support.fake_core
--   tools.reset { answer = function(request) -> answer | nil, outcome, text,
--                 run = function(request) -> the same, allow_exec = true, now = 0 }
--   tools.requests   what core.http and core.exec were asked, in order
--   tools.rights()   those of the code that runs
--
-- Hashes are no hashes here: test_source_tools.c and the integration tests know real ones.
local cjson = require "cjson"
local fake = require "support.fake_core"

local M = {}
local core = fake.core
local state

function M.reset(script)
  state = script or {}
  state.rights, state.now = 0, state.now or 1000
  M.requests = {}
end

function M.rights() return state.rights end

local function bytes_of(v)
  return type(v) == "string" and v or fake.reveal(v)
end

local function is_secret(v) return type(v) == "table" and tostring(v) == "secret (hidden)" end

local function like(source, text)
  return is_secret(source) and fake.secret(text) or text
end

function core.rights(n)
  local before = state.rights
  state.rights = n
  return before
end

function core.left_ms() return 1234 end
function core.now() return state.now end
function core.exec_allowed() return state.allow_exec == true end
function core.utc(seconds, format) return os.date("!" .. format, seconds) end

function core.describe(secret, fields)
  if secret ~= nil and type(secret) ~= "string" and not is_secret(secret) then
    error("bad argument #1 to 'describe' (string or open secret expected)", 0)
  end
  return fake.secret(secret and bytes_of(secret), fields)
end

function core.module_text(name)
  local file = io.open("lua/" .. name:gsub("%.", "/") .. ".lua")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

function core.memo()
  local kept, led = {}, {}
  local memo = {}
  function memo.get(_, name) return kept[name] end
  function memo.put(_, name, secret, ttl_s) kept[name] = ttl_s > 0 and secret or nil end
  function memo.drop(_, name) kept[name] = nil end
  function memo.lead(_, name)
    if led[name] then return nil end
    led[name] = true
    return setmetatable({}, { __close = function() led[name] = nil end })
  end
  function memo.wait(_) return true end
  return memo
end

local function ask(answer, request)
  assert(state.rights > 0, "outside of a source")
  M.requests[#M.requests + 1] = request
  if not answer then return nil, "unavailable", "nobody answers" end
  return answer(request)
end

function core.http(request) return ask(state.answer, request) end
function core.exec(request) return ask(state.run, request) end

-- ---- what may be secret ----

function core.join(list)
  local words, tainted = {}, nil
  for i, v in ipairs(list) do
    words[i] = bytes_of(v)
    tainted = tainted or is_secret(v) and v
  end
  return like(tainted, table.concat(words))
end

function core.secret_text(list) return fake.secret(bytes_of(core.join(list))) end

for _, name in ipairs { "sha256", "hex", "base64", "base64_decode" } do
  core[name] = function(v) return like(v, name .. "(" .. bytes_of(v) .. ")") end
end

function core.hmac_sha256(key, v)
  return like(is_secret(key) and key or v, ("hmac(%s,%s)"):format(bytes_of(key), bytes_of(v)))
end

function core.url_encode(v)
  return like(v, (bytes_of(v):gsub("[^%w._~-]", function(c)
    return ("%%%02X"):format(c:byte())
  end)))
end

function core.chomp(v) return like(v, (bytes_of(v):gsub("\r?\n$", ""))) end

-- ---- JSON ----

local function at(body, pointer)
  local fine, value = pcall(cjson.decode, bytes_of(body))
  if not fine then error("the text is not JSON", 0) end
  for part in pointer:gmatch("/([^/]*)") do
    part = part:gsub("~1", "/"):gsub("~0", "~")
    if type(value) ~= "table" then return nil end
    local index = math.tointeger(tonumber(part))
    value = value[index and #value > 0 and index + 1 or part]
  end
  if value ~= cjson.null then return value end
end

local function text_of(value)
  if type(value) == "table" then return cjson.encode(value) end
  return value ~= nil and (math.type(value) == "float" and ("%.0f"):format(value)
    or tostring(value)) or nil
end

function core.json_field(body, pointer)
  local text = text_of(at(body, pointer))
  return text and fake.secret(text)
end

function core.json_text(body, pointer) return text_of(at(body, pointer)) end
function core.json_texts(body, pointer) return at(body, pointer) end

function core.json_encode(value)
  local tainted
  local function plain(v)
    if is_secret(v) then
      tainted = v
      return fake.reveal(v)
    elseif type(v) == "table" then
      local copy = {}
      for k, x in pairs(v) do copy[k] = plain(x) end
      return copy
    end
    return v
  end
  local text = cjson.encode(plain(value))
  return like(tainted, text)
end

M.reset()
return M
