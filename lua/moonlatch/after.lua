-- after.lua - what a rule does with a secret that was found: checks it, unwraps it.
--
-- In this order: require (of the stored secret), decode, field, transform.  Each part
-- takes a secret and gives a secret, with the same metadata; the bytes stay in C, except
-- in transform.  What fails is outcome `invalid` of that step, never missing: the secret
-- is there.  No text here holds a value.
--
-- compile(where, options) -> list of { shown = "field /user", run = function(secret) ->
-- secret | nil, why }, with `transforms` set when Lua gets to see bytes, `changes` when
-- the answer is not what is stored; or nil when there is nothing to do.
local later = require "moonlatch.later"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local options = require "moonlatch.options"
local require_options = later "moonlatch.require_options"

local M = {}

local ENCODINGS = { base64 = true, base64url = true, hex = true }

-- Runs code of the policy; as pcall does, under its budget.
local limited = core.limited

-- ---- options ----

local function listed(v) return type(v) == "table" and v or { v } end

local function is_encoding(v) return ENCODINGS[v] == true end

local function check_decode(v)
  return options.list_of(listed(v), is_encoding, "base64, base64url or hex")
end

local function is_pointer(v) return type(v) == "string" and core.is_pointer(v) end

local function check_field(v)
  return options.list_of(listed(v), is_pointer,
    "a JSON pointer, such as \"/user/password\" ('~' is written '~0', '/' in a name '~1')")
end

M.OPTIONS = {
  require = function(v) return require_options.check(v) end, decode = check_decode, field = check_field,
  transform = "function",
}

-- ---- parts ----

local function decode_part(how)
  return { shown = "decode " .. how, run = function(secret) return core.decode(secret, how) end }
end

-- The first of several pointers that leads to something.
local function field_part(pointers)
  local shown = "field " .. table.concat(pointers, ", ")
  return { shown = shown, run = function(secret)
    local why
    for _, pointer in ipairs(pointers) do
      local found
      found, why = core.field(secret, pointer)
      if found then return found end
    end
    return nil, why
  end }
end

-- What a transform raises may hold the value: only its line is told, and only if it is
-- one of the policy's file.
local function raised_at(where, raised)
  local file = where:match("^(.*):%d+$") or where
  local text = type(raised) == "string" and raised:sub(1, #file + 12) or ""
  local line = text:sub(1, #file + 1) == file .. ":" and text:match("^%d+", #file + 2)
  return line and (" (%s:%s)"):format(file, line) or ""
end

local function transform_part(where, transform)
  return { shown = "transform", run = function(secret)
    local failed
    local changed, why = core.transform(secret, function(text)
      local fine, made = limited(transform, text)
      if fine then return made end
      failed = "transform failed" .. raised_at(where, made)
    end)
    return changed, failed or why
  end }
end

-- ---- compiling, running ----

function M.compile(where, o)
  if not (o.require or o.decode or o.field or o.transform) then return nil end
  local parts = {}
  local function add(part) parts[#parts + 1] = part end
  if o.require then
    add { shown = "require " .. require_options.shown(o.require), run = require_options.test(o.require) }
  end
  local checks = #parts
  for _, how in ipairs(o.decode and listed(o.decode) or {}) do add(decode_part(how)) end
  if o.field then add(field_part(listed(o.field))) end
  if o.transform then add(transform_part(where, o.transform)) end
  parts.where, parts.transforms, parts.changes = where, o.transform ~= nil, #parts > checks
  return parts
end

-- What it does, for people: "decode base64, field /user, transform"; "" without any.
function M.shown(parts)
  local words = {}
  for i, part in ipairs(parts or {}) do words[i] = part.shown end
  return table.concat(words, ", ")
end

-- secret, or nil, fault.
function M.run(parts, secret, step)
  for i = 1, #parts do
    local part = parts[i]
    local changed, why = part.run(secret)
    if not changed then
      return nil, fault.new("invalid", ("%s:%s is there, but %s: %s (%s)"):format(
        step.source.alias, step.key, part.shown, why, parts.where))
    end
    secret = changed
  end
  return secret
end

return M
