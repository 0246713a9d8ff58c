-- fault.lua - the error tables that cross to C, and the words for outcomes.
--
-- A fault is { code=, text=, source=, key=, http_status=, ... }.  Codes are the words of
-- core/moonlatch.h; the outcome of a code is the same word, save that "usage" counts as
-- "invalid".
local M = {}

local match, sub = string.match, string.sub -- not the bounded methods, which may raise

-- The outcomes that a rule's `on` may speak about.  Everything else (canceled, busy, ...)
-- always stops a walk.
M.outcomes = {
  missing = true, disabled = true, forbidden = true, unauthenticated = true,
  throttled = true, unavailable = true, invalid = true, policy = true,
}

function M.outcome(code)
  if code == "usage" then return "invalid" end
  return code
end

function M.new(code, text)
  return { code = code, text = text }
end

-- What the sandbox leaves out, and people reach for.
local INSTEAD = {
  os = "ml.env reads variables",
  io = "ml.file, ml.dotenv and ml.directory read files, as sources",
  print = "policy repl and explain show plans",
}

-- Lua's own words, and what to try when they are about INSTEAD.
local function hinted(text)
  local name = match(sub(text, -60), "nil value %(global '(%l+)'%)$")
  if not name or not INSTEAD[name] then return text end
  return text .. ": a policy has no '" .. name .. "', " .. INSTEAD[name]
end

-- The text of what a policy raised: an address would tell nobody anything.
function M.text_of(raised)
  if type(raised) == "string" or type(raised) == "number" then return hinted(tostring(raised)) end
  if raised == nil then return "the policy raised nil" end
  return "the policy raised a " .. type(raised)
end

-- A fault, whatever was raised: our own tables pass, anything else becomes `code`.
function M.of(raised, code)
  if type(raised) == "table" and type(raised.code) == "string"
    and type(raised.text) == "string" then return raised end
  return M.new(code, M.text_of(raised))
end

-- A copy with another text.
function M.retold(fault, text)
  local copy = {}
  for k, v in pairs(fault) do copy[k] = v end
  copy.text = text
  return copy
end

return M
