-- fault.lua - the error tables that cross to C, and the words for outcomes.
--
-- A fault is { code=, text=, source=, key=, http_status=, ... }.  Codes are the words of
-- core/moonlatch.h; the outcome of a code is the same word, save that "usage" counts as
-- "invalid".
local M = {}

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

-- A fault, whatever was raised: our own tables pass, anything else becomes `code`.
function M.of(raised, code)
  if type(raised) == "table" and type(raised.code) == "string" then return raised end
  return M.new(code, tostring(raised))
end

-- A copy with another text.
function M.retold(fault, text)
  local copy = {}
  for k, v in pairs(fault) do copy[k] = v end
  copy.text = text
  return copy
end

return M
