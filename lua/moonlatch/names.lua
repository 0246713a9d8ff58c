-- names.lua - from a logical name to keys, and back for `list`.
--
-- Forward, in this order: strip, replace, lower or upper, encode; then prefix .. it ..
-- suffix for each prefix of the ladder.  A fixed table of names comes first and is final.
--
-- Backward gives candidates only: replacing and changing case lose information.  The
-- caller maps each candidate forward again and keeps those that lead to the key.
local later = require "moonlatch.later"
local core = require "moonlatch.core"
local encode = later "moonlatch.encode"
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

-- Does a replacement delete, so that nothing leads back?
local function deletes(r)
  for _, to in pairs(r.map) do
    if to == "" then return true end
  end
  return false
end

-- The replacement the other way round.  Of two texts with one replacement, the first in
-- the alphabet is taken.
local function reversed(r)
  if r.back then return r.back end
  local back = {}
  for from, to in pairs(r.map) do
    if not back[to] or from < back[to] then back[to] = from end
  end
  r.back = compile_replace(back)
  return r.back
end

-- ---- compiling ----

local NO_TEXT = { template.compile "" } -- shared by all rules without a prefix or suffix

local function compile_all(list, may_be_left_out)
  local out = {}
  for i, text in ipairs(list) do
    local t, problem = template.compile(text, may_be_left_out)
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

-- Of an option that is a text or a list of them.
local function compile_option(v, without, may_be_left_out)
  if v == nil then return without end
  return compile_all(type(v) == "table" and v or { v }, may_be_left_out)
end

local function compile_changes(spec, o)
  spec.lower, spec.upper, spec.encode = o.lower, o.upper, o.encode
  if o.replace and next(o.replace) then
    spec.replace = compile_replace(o.replace)
    spec.is_one_way = deletes(spec.replace)
  end
end

-- o = checked options: strip, prefix, suffix, replace, lower, upper, encode, names.
-- nil, problem when a placeholder is malformed.
function M.compile(o)
  local spec = {}
  local problem
  spec.strips, problem = compile_option(o.strip, EMPTY)
  if problem then return nil, problem end
  spec.prefixes, problem = compile_option(o.prefix, NO_TEXT, true)
  if problem then return nil, problem end
  spec.suffixes, problem = compile_option(o.suffix, NO_TEXT)
  if problem then return nil, problem end
  spec.names, problem = compile_names(o.names)
  if problem then return nil, problem end
  compile_changes(spec, o)
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

-- The name of the first placeholder of a rung: every rung was left out.
local function left_out(t)
  for _, part in ipairs(t.parts) do
    if type(part) == "table" then return part.name end
  end
end

-- Each prefix .. middle .. suffix.  A rung with {x?} is left out when x is not set.
local function ladder(spec, middle, captures, context)
  local prefixes, suffix = spec.prefixes, spec.suffixes[1]
  local only, ending, unset = not prefixes[2] and prefixes[1].plain, suffix.plain, nil
  if only and ending and not spec.encode then return { only .. middle .. ending } end
  if not ending then ending, unset = expand(suffix, captures, context) end
  if not ending then return nil, unset end
  local keys, n = {}, 0
  for i = 1, #prefixes do
    local t = prefixes[i]
    local prefix = t.plain
    if not prefix then prefix, unset = expand(t, captures, context) end
    if prefix == nil then return nil, unset end
    if prefix then
      local part = middle
      if spec.encode then
        local problem
        part, problem = encode.encode(middle, encode.MAX - #prefix - #ending)
        if not part then return nil, nil, problem end
      end
      n = n + 1
      keys[n] = prefix .. part .. ending
    else
      unset = t
    end
  end
  if n == 0 then return nil, left_out(unset) end
  return keys
end

-- Array of keys, in order; nil and the placeholder that is not set; or nil, nil, problem.
function M.keys(spec, name, captures, context)
  local fixed = spec.names and spec.names[name]
  if fixed then
    local key, unset = expand(fixed, captures, context)
    return key and { key }, unset
  end
  local middle = name
  if spec.strips[1] then
    local unset
    middle, unset = stripped(spec.strips, name, captures, context)
    if not middle then return nil, unset end
  end
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

-- What the middle of a key may have been made from.
local function originals(spec, middle)
  if spec.encode then
    local name, why = encode.decode(middle)
    return { name }, why
  end
  local texts = { middle }
  if spec.lower or spec.upper then
    texts = { middle:lower() }
    if middle:lower() ~= middle then texts[2] = middle end
  end
  if spec.replace then
    for i = #texts, 1, -1 do
      local original = replace(reversed(spec.replace), texts[i])
      if original ~= texts[i] then table.insert(texts, i, original) end
    end
  end
  return texts
end

-- Why no key can be mapped back, whatever the context: nil when it can.
function M.one_way(spec)
  return spec.is_one_way and "its replace deletes text" or nil
end

-- Can a key be mapped back at all with this context?  true, or nil and the reason.
function M.can_invert(spec, context)
  if spec.is_one_way then return nil, M.one_way(spec) end
  for _, list in ipairs { spec.strips, spec.prefixes, spec.suffixes } do
    for _, t in ipairs(list) do
      local _, unset = expand(t, EMPTY, context)
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
  local texts
  texts, group.why = originals(spec, middle)
  for _, original in ipairs(texts) do
    for _, s in ipairs(spec.strips) do
      group[#group + 1] = expand(s, EMPTY, context) .. original
    end
    group[#group + 1] = original
  end
  return group
end

-- Array of groups; of each group, the first name that leads to the key is the one.
-- folded: the source does not care about case.  group.why: why there is no name, if there
-- is none.
function M.candidates(spec, key, context, folded)
  local groups = {}
  for name, t in pairs(spec.names or EMPTY) do
    local fixed = expand(t, EMPTY, context)
    if fixed and same_key(fixed, key, folded) then groups[#groups + 1] = { name } end
  end
  local suffix = expand(spec.suffixes[1], EMPTY, context)
  for _, p in ipairs(spec.prefixes) do
    local prefix = expand(p, EMPTY, context)
    if prefix and starts(key, prefix, folded) and ends(key, suffix, folded)
      and #key >= #prefix + #suffix then
      local middle = key:sub(#prefix + 1, #key - #suffix)
      groups[#groups + 1] = below_prefix(spec, middle, context)
    end
  end
  return groups
end

return M
