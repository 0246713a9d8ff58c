-- encode.lua - names of any bytes as keys of Key Vault, and back: ml.encode, ml.decode.
--
-- A key has 0-9, a-z and "-"; no two names have one key, also where case does not count,
-- and what looks like a key already stays as it is ("db-password").  Left to right:
--
--   a-z 0-9    themselves
--   /          --
--   -          -    before one of a-z; -1 before anything else, and at the end
--   _          -0            "billing/db_password" -> "billing--db-0password"
--   .          -2            "api.v2"              -> "api-2v2"
--   A          -3a           "myKey"               -> "my-3key"
--   ABC        -4abc         two or more that no a-z follows: "DB_URL" -> "-4db-0-4url"
--   : blank    -5  -6
--   any other  -9 and the byte as two hex digits: "ä" -> "-9c3-9a4"
--
-- A name whose key would be longer than max becomes as much of the front of its key as
-- there is room for, then -7 and the first 40 hex digits of the SHA-256 of the whole
-- name.  No other key has a -7, so it meets no short one; decode then answers nil,
-- "digest": the name cannot be told.
--
-- decode takes exactly what encode makes, in any case: anything else is nil and why.
local core = require "moonlatch.core"

local M = {}

local find, match, sub, lower = string.find, string.match, string.sub, string.lower
local byte, char, format, concat = string.byte, string.char, string.format, table.concat

M.MAX = 127 -- of a Key Vault secret name

local DIGEST_DIGITS = 40
M.LEAST = 2 + DIGEST_DIGITS -- less room than this cannot hold every name

local CODES = { ["/"] = "--", ["_"] = "-0", ["."] = "-2", [":"] = "-5", [" "] = "-6" }
local CHARACTERS = { ["0"] = "_", ["1"] = "-", ["2"] = ".", ["5"] = ":", ["6"] = " " }

-- ---- forward ----

-- The key of what stands at `at`, and the place behind it.
local function piece_at(name, at)
  local plain, past = match(name, "^([a-z0-9]+)()", at)
  if plain then return plain, past end
  local capitals, behind = match(name, "^([A-Z][A-Z]+)()", at)
  if capitals and not find(name, "^[a-z]", behind) then
    return "-4" .. lower(capitals), behind
  end
  local c = sub(name, at, at)
  if find(c, "^[A-Z]") then return "-3" .. lower(c), at + 1 end
  if c == "-" then return find(name, "^[a-z]", at + 1) and "-" or "-1", at + 1 end
  return CODES[c] or format("-9%02x", byte(c)), at + 1
end

local function pieces_of(name)
  local pieces, at = {}, 1
  while at <= #name do
    pieces[#pieces + 1], at = piece_at(name, at)
  end
  return pieces
end

-- As many whole pieces as fit; plain letters may be cut.  A "-" needs a letter behind it.
local function front(pieces, room)
  local out = {}
  for i, piece in ipairs(pieces) do
    if #piece > room and find(piece, "^[a-z0-9]") then piece = sub(piece, 1, room) end
    if #piece > room or piece == "" then break end
    out[i], room = piece, room - #piece
  end
  if out[#out] == "-" then out[#out] = nil end
  return concat(out)
end

-- The key, of at most max bytes (M.MAX without one); nil, problem when max is too small.
function M.encode(name, max)
  max = max or M.MAX
  local pieces = pieces_of(name)
  local key = concat(pieces)
  if #key <= max then return key end
  if max < M.LEAST then
    return nil, format("%d bytes are left for the name, at least %d are needed", max, M.LEAST)
  end
  local digest = sub(core.hex(core.sha256(name)), 1, DIGEST_DIGITS)
  return front(pieces, max - M.LEAST) .. "-7" .. digest
end

-- ---- backward ----

local NOT_ENCODED = "not an encoded name"

-- What the escape at `at` stands for, and the place behind it; nil, why.
local function unescape(key, at)
  local c = sub(key, at + 1, at + 1)
  if c == "-" then return "/", at + 2 end
  if find(c, "^[a-z]") then return "-", at + 1 end
  if CHARACTERS[c] then return CHARACTERS[c], at + 2 end
  if c == "7" then
    local digits = match(key, "^%x+$", at + 2) or ""
    return nil, #digits == DIGEST_DIGITS and "digest" or NOT_ENCODED
  end
  local text, past
  if c == "3" then
    text, past = match(key, "^([a-z])()", at + 2)
  elseif c == "4" then
    text, past = match(key, "^([a-z]+)()", at + 2)
  elseif c == "9" then
    text, past = match(key, "^(%x%x)()", at + 2)
    return text and char(tonumber(text, 16)), past or NOT_ENCODED
  end
  return text and text:upper(), past or NOT_ENCODED
end

-- The name; nil, "digest" when the key holds a digest of it; nil, why.
function M.decode(key)
  key = lower(key)
  if find(key, "[^a-z0-9-]") then return nil, NOT_ENCODED end
  local out, at = {}, 1
  while at <= #key do
    local text, past = match(key, "^([a-z0-9]+)()", at)
    if not text then text, past = unescape(key, at) end
    if not text then return nil, past end
    out[#out + 1], at = text, past
  end
  local name = concat(out)
  if concat(pieces_of(name)) ~= key then return nil, NOT_ENCODED end -- one key a name
  return name
end

return M
