-- names.lua - from a logical name to keys, and back for `list`.
--
-- Forward, in this order: strip, replace, lower or upper; then prefix .. it .. suffix for
-- each prefix of the ladder.  A fixed table of names comes first and is final.
--
-- Backward gives candidates only: replacing and changing case lose information.  The
-- caller maps each candidate forward again and keeps those that lead to the key.
local core = require "moonlatch.core"
local template = require "moonlatch.template"

local M = {}

local gsub, sub = string.gsub, string.sub -- not the bounded methods: this is the hot path
local expand = template.expand

local EMPTY = {}

-- ---- replace: all at once, longest first, never on what was already replaced ----

local function by_length(a, b)
  if #a ~= #b then return #a > #b end
  return a < b
end

-- "[%-%/]" when all are single bytes.
local function set_of(froms)
  if #froms == 0 or #froms[1] > 1 then return nil end
  local bytes = table.concat(froms):gsub("%W", "%%%0")
  return "[" .. bytes .. "]"
end

local function compile_replace(map)
  local froms = {}
  for from in pairs(map) do froms[#froms + 1] = from end
  table.sort(froms, by_length)
  return { map = map, froms = froms, set = set_of(froms) }
end

local function longest_at(froms, s, at)
  for i = 1, #froms do
    local from = froms[i]
    if sub(s, at, at + #from - 1) == from then return from end
  end
end

local FREE_WORK = 1000 -- comparisons; more than this, and the policy pays

local function replace(r, s)
  if r.set then return (gsub(s, r.set, r.map)) end
  local work = #s * #r.froms
  if work > FREE_WORK then core.spend(work) end
  local out, at = {}, 1
  while at <= #s do
    local from = longest_at(r.froms, s, at)
    out[#out + 1] = from and r.map[from] or sub(s, at, at)
    at = at + (from and #from or 1)
  end
  return table.concat(out)
end

-- The replacement the other way round, or nil when a replacement deletes.  Of two texts
-- with one replacement, the first in the alphabet is taken.
local function reversed(r)
  local back = {}
  for from, to in pairs(r.map) do
    if to == "" then return nil end
    if not back[to] or from < back[to] then back[to] = from end
  end
  return compile_replace(back)
end

-- ---- compiling ----

local function compile_all(list)
  local out = {}
  for i, text in ipairs(list) do
    local t, problem = template.compile(text)
    if not t then return nil, problem end
    out[i] = t
  end
  return out
end

local function compile_names(names)
  if not names then return nil end
  local out = {}
  for name, key in pairs(names) do
    local t, problem = template.compile(key)
    if not t then return nil, problem end
    out[name] = t
  end
  return out
end

local function listed(v)
  if type(v) == "table" then return v end
  return { v or "" }
end

-- o = checked options: strip, prefix, suffix, replace, lower, upper, names.
-- nil, problem when a placeholder is malformed.
function M.compile(o)
  local spec = { lower = o.lower, upper = o.upper }
  local problem
  for field, texts in pairs {
    strips = listed(o.strip or {}), prefixes = listed(o.prefix), suffixes = listed(o.suffix),
  } do
    spec[field], problem = compile_all(texts)
    if problem then return nil, problem end
  end
  spec.names, problem = compile_names(o.names)
  if problem then return nil, problem end
  if o.replace and next(o.replace) then
    spec.replace = compile_replace(o.replace)
    spec.back = reversed(spec.replace)
    spec.is_one_way = spec.back == nil
  end
  return spec
end

-- ---- forward ----

local function stripped(strips, name, captures, context)
  for i = 1, #strips do
    local t = strips[i]
    local text, unset = t.plain, nil
    if not text then text, unset = expand(t, captures, context) end
    if not text then return nil, unset end
    if text ~= "" and sub(name, 1, #text) == text then return sub(name, #text + 1) end
  end
  return name
end

-- Each prefix .. middle .. suffix.
local function ladder(spec, middle, captures, context)
  local keys, prefixes, suffix = {}, spec.prefixes, spec.suffixes[1]
  local ending, unset = suffix.plain, nil
  if not ending then ending, unset = expand(suffix, captures, context) end
  if not ending then return nil, unset end
  for i = 1, #prefixes do
    local t = prefixes[i]
    local prefix = t.plain
    if not prefix then prefix, unset = expand(t, captures, context) end
    if not prefix then return nil, unset end
    keys[i] = prefix .. middle .. ending
  end
  return keys
end

-- Array of keys, in order; or nil and the placeholder that is not set.
function M.keys(spec, name, captures, context)
  local fixed = spec.names and spec.names[name]
  if fixed then
    local key, unset = expand(fixed, captures, context)
    return key and { key }, unset
  end
  local middle, unset = stripped(spec.strips, name, captures, context)
  if not middle then return nil, unset end
  if spec.replace then middle = replace(spec.replace, middle) end
  if spec.lower then middle = middle:lower() end
  if spec.upper then middle = middle:upper() end
  return ladder(spec, middle, captures, context)
end

-- ---- backward ----

local function starts(s, prefix, folded)
  local head = s:sub(1, #prefix)
  return head == prefix or folded and head:lower() == prefix:lower()
end

local function ends(s, suffix, folded)
  if suffix == "" then return true end
  local tail = s:sub(-#suffix)
  return tail == suffix or folded and tail:lower() == suffix:lower()
end

-- What `changed` may have made middle from.
local function originals(spec, middle)
  local texts = { middle }
  if spec.lower or spec.upper then
    texts = { middle:lower() }
    if middle:lower() ~= middle then texts[2] = middle end
  end
  if spec.back then
    for i = #texts, 1, -1 do
      local original = replace(spec.back, texts[i])
      if original ~= texts[i] then table.insert(texts, i, original) end
    end
  end
  return texts
end

-- Can a key be mapped back at all with this context?  true, or nil and the reason.
function M.can_invert(spec, context)
  if spec.is_one_way then return nil, "its replace deletes text" end
  for _, list in ipairs { spec.strips, spec.prefixes, spec.suffixes } do
    for _, t in ipairs(list) do
      local _, unset = template.expand(t, EMPTY, context)
      if unset then return nil, ("{%s} is not in the context"):format(unset) end
    end
  end
  return true
end

local function same_key(a, b, folded)
  return a == b or folded and a:lower() == b:lower()
end

-- Everything that the prefix and suffix may have been put around, best first.
local function below_prefix(spec, middle, context)
  local group = {}
  for _, original in ipairs(originals(spec, middle)) do
    for _, s in ipairs(spec.strips) do
      group[#group + 1] = template.expand(s, EMPTY, context) .. original
    end
    group[#group + 1] = original
  end
  return group
end

-- Array of groups; of each group, the first name that leads to the key is the one.
-- folded: the source does not care about case.
function M.candidates(spec, key, context, folded)
  local groups = {}
  for name, t in pairs(spec.names or EMPTY) do
    local fixed = template.expand(t, EMPTY, context)
    if fixed and same_key(fixed, key, folded) then groups[#groups + 1] = { name } end
  end
  local suffix = template.expand(spec.suffixes[1], EMPTY, context)
  for _, p in ipairs(spec.prefixes) do
    local prefix = template.expand(p, EMPTY, context)
    if starts(key, prefix, folded) and ends(key, suffix, folded)
      and #key >= #prefix + #suffix then
      local middle = key:sub(#prefix + 1, #key - #suffix)
      groups[#groups + 1] = below_prefix(spec, middle, context)
    end
  end
  return groups
end

return M
