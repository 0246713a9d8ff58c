-- index.lua - which rules could match a name: a rule must not cost the names of others.
--
-- What a rule could match (`reach`, see match.lua) puts it into one of three places:
--
--   exact   name       -> entries       "billing/db"
--   below   beginning  -> entries       "billing/**" is at "billing/", "app-*" at "app-"
--   rest    entries                     anything else: "**/x", Lua patterns
--
-- A name is looked up whole, then at each of its slashes, then by the beginnings that end
-- inside a segment, of which the lengths are kept, per text up to the slash before: a few
-- table look-ups, however many rules there are (depth is the most slashes that help).  Entries carry their place in the policy:
-- of all that match, the first decides.  The rest is tried in order, up to that place.
--
-- ASCII case does not count here once there is a deny rule, as it does not for these; the
-- rules themselves look again.  Building is linear in the number of patterns.
local M = {}

-- Not the bounded methods: the hot path.
local find, sub, lower, gsub = string.find, string.sub, string.lower, string.gsub

local NONE = {}

-- lists[text] = entry, or a list of entries: most texts have one.
local function add(lists, text, entry)
  local known = lists[text]
  if known == nil then
    lists[text] = entry
  elseif known.at == nil then
    if known[#known] ~= entry then known[#known + 1] = entry end
  elseif known ~= entry then
    lists[text] = { known, entry }
  end
end

-- "a/b-" ends inside a segment: lengths["a/"] gets 4.
local function add_length(lengths, text)
  local parent = text:match("^.*/") or ""
  local known = lengths[parent]
  if not known then
    known = {}
    lengths[parent] = known
  end
  for _, n in ipairs(known) do
    if n == #text then return end
  end
  known[#known + 1] = #text
end

local function add_reach(index, entry, text)
  local how = sub(text, 1, 1)
  text = index.fold(sub(text, 2))
  if how == "=" then
    add(index.exact, text, entry)
  else
    add(index.below, text, entry)
    local _, slashes = gsub(text, "/", "/")
    if slashes > index.depth then index.depth = slashes end
    if sub(text, -1) ~= "/" then add_length(index.lengths, text) end
  end
end

local function same(text) return text end

local function has_deny(rules)
  for _, rule in ipairs(rules) do
    if rule.kind == "deny" then return true end
  end
  return false
end

function M.build(rules)
  local index = { exact = {}, below = {}, lengths = {}, rest = {}, depth = 0,
    fold = has_deny(rules) and lower or same }
  for at, rule in ipairs(rules) do
    local entry = { at = at, rule = rule }
    for _, text in ipairs(rule.reach or NONE) do add_reach(index, entry, text) end
    if not rule.reach then index.rest[#index.rest + 1] = entry end
  end
  return index
end

-- The better of what is known and the first entry of a list that matches.
local function better(entries, name, best, captures)
  if entries.at then
    if best and best.at < entries.at then return best, captures end
    local found = entries.rule.match(name)
    if found then return entries, found end
    return best, captures
  end
  for i = 1, #entries do
    local entry = entries[i]
    if best and best.at < entry.at then break end
    local found = entry.rule.match(name)
    if found then return entry, found end
  end
  return best, captures
end

-- Beginnings that end inside a segment.
local function inside(below, lengths, text, name, best, captures)
  for i = 1, #lengths do
    local entries = below[sub(text, 1, lengths[i])]
    if entries then best, captures = better(entries, name, best, captures) end
  end
  return best, captures
end

-- The first rule that matches the name, and its captures; nil when there is none.
function M.first(index, name)
  local below, lengths, text = index.below, index.lengths, index.fold(name)
  local best, captures = nil, nil
  local entries = index.exact[text]
  if entries then best, captures = better(entries, name) end
  local parent, slash = "", 0
  for _ = 0, index.depth do
    local inner = lengths[parent]
    if inner then best, captures = inside(below, inner, text, name, best, captures) end
    slash = find(text, "/", slash + 1, true)
    if not slash then break end
    parent = sub(text, 1, slash)
    entries = below[parent]
    if entries then best, captures = better(entries, name, best, captures) end
  end
  entries = index.rest
  if entries[1] then best, captures = better(entries, name, best, captures) end
  if best then return best.rule, captures end
end

return M
