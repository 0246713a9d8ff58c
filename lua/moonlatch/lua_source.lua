-- lua_source.lua - sources that a policy writes in Lua: ml.source { ... }.
--
--   get(key, ctx)    -> value [, { version =, content_type =, tags = {} }]
--                     | nil, outcome [, text [, retry_after_ms]]
--       value: a secret (or a string, which becomes one).  outcome: "missing", "disabled",
--       "forbidden", "unauthenticated", "throttled", "unavailable" or "invalid"; nil alone
--       is an error, because an outage must never look like an absence
--   list(ctx)        -> { "key", { key =, version =, content_type =, tags = }, ... } | nil, ...
--   put(key, value, ctx), delete(key, ctx)
--                    -> true [, { version = }] | nil, ...;  with put the source is writable
--   check(key)       -> nil, or why the source cannot have this key; no waiting
--   ctx = { version =, content_type =, tags =, deadline_ms = what is left, memo = }
--
-- get, list, put and delete may wait (ml.http, ml.exec); nothing else may.  What they
-- answer depends on the key alone: which key a context means is for rules to say, so that
-- answers can be kept.
--
-- ctx.memo lives with the source and keeps at most 16 secrets, for a while:
--   memo:get(name) -> secret | nil;  memo:put(name, secret, ttl_s);  memo:drop(name)
--   memo:once(name, function() ... return secret, ttl_s end) -> secret | nil, outcome, text
--       the kept one, or what the function brings; calls that ask meanwhile wait for it
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local options = require "moonlatch.options"
local place = require "moonlatch.place"

local M = {}

local MAY_FETCH, MAY_EXEC = 1, 2
local MAX_TEXT = 300

local OUTCOMES = {
  missing = true, disabled = true, forbidden = true, unauthenticated = true,
  throttled = true, unavailable = true, invalid = true,
}

M.OPTIONS = {
  alias = true, -- checked by sources.lua
  label = options.not_empty, get = "function", list = "function", put = "function",
  delete = "function", check = "function", exec = "boolean",
}

-- ---- memo ----

local function new_memo()
  local raw = core.memo()
  local flights = {} -- name -> { failure = {...} } of who leads
  local memo = {}
  function memo.get(_, name) return raw:get(name) end
  function memo.put(_, name, secret, ttl_s) return raw:put(name, secret, ttl_s) end
  function memo.drop(_, name) return raw:drop(name) end

  local function lead(name, make, flight)
    flights[name] = flight
    local secret, ttl_s, text, retry_after_ms = make()
    flights[name] = nil -- those who wait have it
    if options.is_secret(secret) then
      raw:put(name, secret, type(ttl_s) == "number" and ttl_s or 0)
      return secret
    end
    -- Who had no time left says nothing to those who have more: they try themselves.
    if core.left_ms() > 0 then flight.failure = { secret, ttl_s, text, retry_after_ms } end
    return secret, ttl_s, text, retry_after_ms
  end

  -- Whoever leads may be canceled: then the next one leads.
  function memo.once(_, name, make)
    while true do
      local known = raw:get(name)
      if known then return known end
      local guard <close> = raw:lead(name)
      if guard then return lead(name, make, {}) end
      local flight = flights[name]
      local fine, outcome, text = raw:wait(name)
      if not fine then return nil, outcome, text end
      if flight.failure then return table.unpack(flight.failure, 1, 4) end
    end
  end
  return memo
end

-- ---- calling the policy's functions ----

local function short(text)
  text = tostring(text)
  if #text > MAX_TEXT then return text:sub(1, MAX_TEXT) .. "..." end
  return text
end

-- What the policy did wrong itself.
local function broken(s, verb, text)
  return fault.new("policy", place.located(s.where, ("%s of the source %s %s"):format(verb,
    s.alias, text)))
end

-- What is missing is returned; what was raised is no absence, whatever it says.
local function raised(s, verb, value)
  local f = fault.of(value, "policy")
  if f.code == "missing" then f = fault.new("policy", f.text) end
  local text = short(f.text)
  local line, rest = text:match("^([^%s:]+:%d+): (.*)$")
  return fault.retold(f, ("%s: %s of the source %s failed: %s"):format(line or s.where, verb,
    s.alias, rest or text))
end

-- nil, fault: what it returned behind nil.
local function failure(s, verb, outcome, text, retry_after_ms)
  if not OUTCOMES[outcome] then
    return nil, broken(s, verb, ('returned nil without a word: return a value, or nil, '
      .. '"missing" (or "forbidden", "unauthenticated", "throttled", "unavailable", '
      .. '"disabled", "invalid")'))
  end
  if text ~= nil and type(text) ~= "string" then
    return nil, broken(s, verb, "returned a text that is no string")
  end
  local f = fault.new(outcome, ("%s: %s"):format(s.alias, short(text or outcome)))
  f.retry_after_ms = math.type(retry_after_ms) == "integer" and retry_after_ms or nil
  return nil, f
end

-- Runs it with the rights of a source: true, results...; or nil, fault.
local function run(s, verb, ...)
  local before = core.rights(s.rights)
  local results = table.pack(core.limited(s[verb], ...))
  core.rights(before)
  if not results[1] then return nil, raised(s, verb, results[2]) end
  if results[2] == nil or results[2] == false then
    return failure(s, verb, table.unpack(results, 3, 5))
  end
  return true, results[2], results[3]
end

local function context_of(s, args)
  return {
    version = args.version, content_type = args.content_type, tags = args.tags,
    deadline_ms = core.left_ms(), memo = s.memo,
  }
end

local FIELDS = { "version", "content_type" }

-- value and what is known about it -> a secret of this source and key; or nil, fault.
local function described(s, verb, key, value, known)
  if known ~= nil and type(known) ~= "table" then
    return nil, broken(s, verb, "returned more than a value, and no table")
  end
  local fields = { source = s.alias, key = key, tags = known and known.tags or nil }
  for _, name in ipairs(FIELDS) do
    local v = known and known[name]
    fields[name] = math.type(v) == "integer" and tostring(v) or v
  end
  local fine, secret = pcall(core.describe, value, fields)
  if fine then return secret end
  return nil, broken(s, verb, "returned what cannot be used: " .. fault.text_of(
    type(secret) == "table" and secret.text or secret))
end

-- ---- verbs ----

local verbs = {}

function verbs.get(s, args)
  local fine, value, known = run(s, "get", args.key, context_of(s, args))
  if not fine then return nil, value end
  if type(value) ~= "string" and not options.is_secret(value) then
    return nil, broken(s, "get", ("returned %s: a secret or a string is needed"):format(
      options.article(type(value))))
  end
  return described(s, "get", args.key, value, known)
end

function verbs.list(s, args)
  local fine, keys = run(s, "list", context_of(s, args))
  if not fine then return nil, keys end
  if type(keys) ~= "table" then return nil, broken(s, "list", "returned no list") end
  local secrets = {}
  for i, item in ipairs(keys) do
    local known = type(item) == "table" and item or { key = item }
    if type(known.key) ~= "string" then
      return nil, broken(s, "list", ("returned element %d without a key"):format(i))
    end
    local secret, f = described(s, "list", known.key, nil, known)
    if not secret then return nil, f end
    secrets[i] = secret
  end
  return secrets
end

local function changing(verb)
  return function(s, args)
    local fine, done, known
    if verb == "put" then
      fine, done, known = run(s, verb, args.key, args.value, context_of(s, args))
    else
      fine, done, known = run(s, verb, args.key, context_of(s, args))
    end
    if not fine then return nil, done end
    return described(s, verb, args.key, nil, known)
  end
end
verbs.put, verbs.delete = changing("put"), changing("delete")

-- ---- the source, as plans see it ----

local raw_meta = { __metatable = false }
local methods = {}
raw_meta.__index = methods

function methods:alias() return self.s.alias end
function methods:kind() return self.s.kind end
function methods:label() return self.s.label end
function methods:writable() return self.s.put ~= nil end

function methods:check(key)
  local s = self.s
  if key == "" then return nil, "the key is empty" end
  if not s.check then return true end
  local fine, why = core.limited(s.check, key)
  if not fine then return nil, raised(s, "check", why).text end
  if why == nil or why == true then return true end
  return nil, type(why) == "string" and short(why) or "its source refuses this key"
end

function methods:call(verb, args)
  local s = self.s
  if not verbs[verb] or not s[verb] then
    return nil, fault.new("usage", ("the source %s (%s) cannot %s"):format(s.alias, s.kind,
      (verb:gsub("_", " "))))
  end
  local asking <close> = core.asking(s.alias, verb)
  local result, f = verbs[verb](s, args)
  if asking then asking:ended(f and f.code) end
  if not result then f.source, f.key = s.alias, args.key end
  return result, f
end

-- where: "file:line" of the constructor; t has passed OPTIONS; alias is settled.
function M.new(where, t, alias)
  if not t.get then options.refuse(where, "ml.source needs 'get', a function(key, ctx)") end
  if t.exec and not core.exec_allowed() then
    options.refuse(where, "the source %s runs programs, which this host does not allow: "
      .. "--allow-exec on the command line, allow_exec in ml_options", alias)
  end
  return setmetatable({ s = {
    where = where, alias = alias, kind = "lua", label = t.label or "written in Lua, " .. where,
    get = t.get, list = t.list, put = t.put, delete = t.delete, check = t.check,
    rights = MAY_FETCH + (t.exec and MAY_EXEC or 0), memo = new_memo(),
  } }, raw_meta)
end

return M
