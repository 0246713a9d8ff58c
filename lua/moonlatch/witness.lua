-- witness.lua - names made up for a pattern: what it matches if anything does.
--
-- Each wildcard becomes a word that no policy writes, so another pattern that matches all
-- witnesses of this one takes all of its names.  A Lua pattern has no witnesses: nobody
-- can tell what it matches.
local match = require "moonlatch.match"

local M = {}

local MAX_VARIANTS = 32

local function words()
  local n = 0
  return function()
    n = n + 1
    return ("zq%d"):format(n)
  end
end

-- "a-{x}-*" -> its wildcards as words; with `empty`, those that may be empty are.
local function filled(segment, word, empty)
  if segment == "*" then return word() end
  segment = segment:gsub("{[%a_][%w_]*}", function() return word() end)
  return (segment:gsub("%*", function() return empty and "" or word() end))
end

-- What "**" may stand for, here: at the end at least one segment.
local function many(word, is_last)
  local one = word()
  local two = word() .. "/" .. word()
  return is_last and { one, two } or { false, one, two }
end

local function appended(variants, choices)
  local out = {}
  for _, variant in ipairs(variants) do
    for _, choice in ipairs(choices) do
      if #out == MAX_VARIANTS then return out end
      local copy = table.move(variant, 1, #variant, 1, {})
      if choice then copy[#copy + 1] = choice end
      out[#out + 1] = copy
    end
  end
  return out
end

-- Array of names that match the pattern, without repeats; at most 32.
function M.of(pattern)
  local word, variants = words(), { {} }
  local segments = match.split(pattern)
  for i, segment in ipairs(segments) do
    local choices
    if segment == "**" then
      choices = many(word, i == #segments)
    else
      choices = { filled(segment, word, false) }
      local short = filled(segment, word, true)
      if short ~= choices[1] and short ~= "" and segment:find("*", 1, true)
        and segment ~= "*" then choices[2] = short end
    end
    variants = appended(variants, choices)
  end
  local names, seen = {}, {}
  for _, variant in ipairs(variants) do
    local name = table.concat(variant, "/")
    if name ~= "" and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  return names
end

return M
