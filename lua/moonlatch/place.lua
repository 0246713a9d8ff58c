-- place.lua - which line of a policy file is running, as "file:line".
--
-- Constructors ask this while the file loads, so that every message ends up at the
-- user's line however deep in the engine it is raised.  Only standard `error` is used:
-- it puts the position of any level in front of a text.
local M = {}

local match, sub = string.match, string.sub -- not the bounded methods: every rule asks

local MAX_LEVEL = 40

-- The name that Lua shows for a chunk: shortened when it is long.
local function shown_name(chunkname)
  local _, text = pcall(load("error('', 1)", chunkname, "t"))
  return tostring(text):match("^(.*):1: $") or chunkname
end

-- Returns a function: where() -> "file:line".  A tail call (`return ml.policy {...}`)
-- leaves no line behind: the last one known is the best there is.
function M.finder(chunkname)
  local file = shown_name(chunkname)
  local prefix = file .. ":"
  local last = prefix .. "1"
  return function()
    for level = 2, MAX_LEVEL do
      local _, text = pcall(error, "", level)
      if sub(text, 1, #prefix) == prefix then
        last = match(text, "^(.*:%d+): $") or last
        break
      end
    end
    return last
  end, file
end

-- text with where in front, unless it begins with a line of the same file already.
function M.located(where, text)
  text = tostring(text)
  local file = where:match("^(.*:)%d+$") or where
  if text:sub(1, #file) == file then return text end
  return where .. ": " .. text
end

return M
