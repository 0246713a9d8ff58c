-- match.lua - what a rule's pattern matches: compiled once, then run on many names.
--
--   *        any part of one segment; as a whole segment, at least one character
--   **       any number of segments, standing alone between slashes; at the end at least
--            one ("billing/**" is what is below billing, not "billing" itself)
--   {x}      at least one character of one segment, captured as x
--
-- Segments are what stands between slashes.  No backtracking into a segment and only to
-- the last `**`, so matching costs at most (length of name) x (length of pattern).
--
-- compile(pattern) -> { text=, test = function(name) -> captures | nil, reach= }, or nil,
-- problem.  reach says which names could match at all, for index.lua: a list of "=NAME"
-- (this one) and "^TEXT" (all that begin so); nil when it could be any.
local core = require "moonlatch.core"

local M = {}

-- Not the bounded methods: this is the hot path.
local find, sub, lmatch = string.find, string.sub, string.match

local NO_CAPTURES = {} -- shared by all; nobody writes into it
local MANY = {}

function M.split(name)
  local segments, from = {}, 1
  while true do
    local slash = find(name, "/", from, true)
    if not slash then break end
    segments[#segments + 1] = sub(name, from, slash - 1)
    from = slash + 1
  end
  segments[#segments + 1] = sub(name, from)
  return segments
end

-- ---- one segment ----

-- "a-{x}-*" -> pieces "a-", {wild x}, "-", {wild}, "": literals at odd places.
local function pieces_of(text, names)
  local pieces, from = {}, 1
  while true do
    local at = find(text, "[*{]", from)
    if not at then break end
    local wild, past = { least = 0 }, at + 1
    if sub(text, at, at) == "{" then
      local name, close = lmatch(text, "^{([%a_][%w_]*)}()", at)
      if not name then return nil, "'{' needs a name and a '}': {env}" end
      if names[name] then return nil, ("{%s} is there twice"):format(name) end
      names[name], names.any = true, true
      wild, past = { least = 1, name = name }, close
    end
    if at == from and #pieces > 0 then
      return nil, "two wildcards side by side: nothing says where one ends"
    end
    pieces[#pieces + 1] = text:sub(from, at - 1)
    pieces[#pieces + 1] = wild
    from = past
  end
  pieces[#pieces + 1] = text:sub(from)
  if text == "*" then pieces[2].least = 1 end
  return pieces
end

-- Leftmost literals first: if any way matches, this one does.
local function match_pieces(pieces, s, captures)
  local first, n = pieces[1], #pieces
  if sub(s, 1, #first) ~= first then return false end
  local at = #first + 1
  for i = 2, n, 2 do
    local wild, literal = pieces[i], pieces[i + 1]
    local stop
    if i + 1 == n then
      stop = #s - #literal + 1
      if stop < at + wild.least or sub(s, stop) ~= literal then return false end
    else
      stop = find(s, literal, at + wild.least, true)
      if not stop then return false end
    end
    if wild.name then captures[wild.name] = sub(s, at, stop - 1) end
    at = stop + #literal
  end
  return true
end

local function match_segment(item, s, captures)
  if type(item) == "string" then return item == s end
  return match_pieces(item, s, captures)
end

-- ---- whole names ----

local FREE_RETRIES = 16 -- more than this, and the policy pays

local function match_items(items, name, captures)
  local segments, n = M.split(name), #items
  local i, s = 1, 1
  local retry_item, retry_segment
  local retries = 0
  while s <= #segments do
    local item = items[i]
    if item == MANY then
      if i == n then return true end
      retry_item, retry_segment = i + 1, s
      i = i + 1
    elseif item and match_segment(item, segments[s], captures) then
      i, s = i + 1, s + 1
    elseif retry_item then
      retries = retries + 1
      if retries > FREE_RETRIES then core.spend(n) end
      retry_segment = retry_segment + 1
      i, s = retry_item, retry_segment
    else
      return false
    end
  end
  return i > n
end

local function compile_items(pattern)
  local items, names, wilds = {}, {}, 0
  for _, text in ipairs(M.split(pattern)) do
    if text == "**" then
      if items[#items] ~= MANY then items[#items + 1] = MANY end
      wilds = wilds + 1
    elseif find(text, "**", 1, true) then
      return nil, "'**' must stand alone between slashes"
    else
      local pieces, problem = pieces_of(text, names)
      if not pieces then return nil, problem end
      wilds = wilds + #pieces // 2
      items[#items + 1] = #pieces == 1 and pieces[1] or pieces
    end
  end
  return items, names, wilds
end

local function exactly(text)
  return function(name) return name == text and NO_CAPTURES or nil end
end

-- "a/b/**": everything that begins with "a/b/".
local function below(prefix)
  local n = #prefix
  return function(name) return sub(name, 1, n) == prefix and NO_CAPTURES or nil end
end

local function anything() return NO_CAPTURES end

-- The longest text that a match must contain: without it, no need to look closer.
local function longest_literal(items)
  local longest = ""
  for _, item in ipairs(items) do
    if type(item) == "string" then item = { item } end
    for _, piece in ipairs(item) do
      if type(piece) == "string" and #piece > #longest then longest = piece end
    end
  end
  return longest
end

local function by_items(items, has_captures)
  local needle = longest_literal(items)
  return function(name)
    if not find(name, needle, 1, true) then return nil end
    local captures = has_captures and {} or NO_CAPTURES
    return match_items(items, name, captures) and captures or nil
  end
end

-- The literal beginning of every name that matches, "" when there is none.
local function beginning(items)
  local segments = {}
  for i, item in ipairs(items) do
    if type(item) == "string" then
      segments[i] = item
    else
      segments[i] = item ~= MANY and item[1] or ""
      break
    end
  end
  return table.concat(segments, "/")
end

local function reach_of(pattern, items, wilds)
  if wilds == 0 then return { "=" .. pattern } end
  local text = beginning(items)
  return text ~= "" and { "^" .. text } or nil
end

function M.compile(pattern)
  if pattern == "" then return nil, "it is empty" end
  local items, names, wilds = compile_items(pattern)
  if not items then return nil, names end
  local test
  if wilds == 0 then
    test = exactly(pattern)
  elseif wilds == 1 and items[#items] == MANY then
    test = #items == 1 and anything or below(pattern:sub(1, -3))
  else
    test = by_items(items, names.any)
  end
  return { text = pattern, test = test, reach = reach_of(pattern, items, wilds) }
end

-- The place behind a set "[^]a%]b]", or nil when it does not end.
local function behind_set(pattern, at)
  at = at + 1
  if sub(pattern, at, at) == "^" then at = at + 1 end
  repeat
    at = at + (sub(pattern, at, at) == "%" and 2 or 1)
    if at > #pattern then return nil end
  until sub(pattern, at, at) == "]"
  return at + 1
end

-- What stands at `at`: the place behind it, or nil and what is wrong.
local function behind_item(pattern, at, groups)
  local c = sub(pattern, at, at)
  if c == "(" then
    groups.open = groups.open + 1
  elseif c == ")" then
    groups.open = groups.open - 1
    if groups.open < 0 then return nil, "a ')' without '('" end
  elseif c == "[" then
    local past = behind_set(pattern, at)
    return past, not past and "a '[' without ']'" or nil
  elseif c == "%" then
    c = sub(pattern, at + 1, at + 1)
    if c == "" then return nil, "it ends in '%'" end
    if c == "b" and at + 3 > #pattern then return nil, "%b needs two characters" end
    if find(c, "[%df]") then return nil, ("%%%s is not supported"):format(c) end
    return at + (c == "b" and 4 or 2)
  end
  return at + 1
end

-- Lua finds mistakes in a pattern only when a name leads it there: look before.
local function lua_problem(pattern)
  local at, groups = 1, { open = 0 }
  while at <= #pattern do
    local past, problem = behind_item(pattern, at, groups)
    if problem then return problem end
    at = past
  end
  if groups.open > 0 then return "a '(' without ')'" end
end

-- A Lua pattern on request.  It must match the whole name; captures are numbered: {1}.
-- `string_match` is the sandbox's own, which refuses what could run for ever.
function M.compile_lua(pattern, string_match)
  local problem = lua_problem(pattern)
  if problem then return nil, problem end
  local body = pattern:gsub("^%^", "")
  local escapes = body:match("(%%*)%$$")
  if escapes and #escapes % 2 == 0 then body = body:sub(1, -2) end
  local whole = "^" .. body .. "$"
  return { text = pattern, test = function(name)
    local captures = { string_match(name, whole) }
    return captures[1] ~= nil and captures or nil
  end }
end

local function reach_of_all(matchers)
  local reach = {}
  for _, m in ipairs(matchers) do
    if not m.reach then return nil end
    for _, text in ipairs(m.reach) do reach[#reach + 1] = text end
  end
  return reach
end

-- Any of several.
function M.any_of(matchers)
  if #matchers == 1 then return matchers[1] end
  local texts = {}
  for i, m in ipairs(matchers) do texts[i] = m.text end
  local function test(name)
    for i = 1, #matchers do
      local captures = matchers[i].test(name)
      if captures then return captures end
    end
  end
  return { text = table.concat(texts, ", "), test = test, reach = reach_of_all(matchers) }
end

return M
