-- index.lua - which rules could match a name: a rule must not cost the names of others.
--
-- What a rule could match (`reach`, see match.lua) puts it into one of three places:
--
--   exact   name       -> places        "billing/db"
--   below   beginning  -> places        "billing/**" is at "billing/", "app-*" at "app-"
--   rest    places                      anything else: "**/x", Lua patterns
--
-- A name is looked up whole, then at each of its slashes, then by the beginnings that end
-- inside a segment, of which the lengths are kept, per text up to the slash before: a few
-- table look-ups, however many rules there are (depth is the most slashes that help).
-- What is found are places in the policy, ascending: of all rules that match, the first
-- decides.  The rest is tried in order, up to that place.
--
-- ASCII case does not count here once there is a deny rule, as it does not for these; the
-- rules themselves look again.  Building is linear in the number of patterns.
local M = {}

-- Not the bounded methods: the hot path.
local find, sub, lower, gsub = string.find, string.sub, string.lower, string.gsub

local NONE = {}

-- lists[text] = place, or a list of places: most texts have one.
local function add(lists, text, at)
  local known = lists[text]
  if known == nil then
    lists[text] = at
  elseif type(known) == "table" then
    if known[#known] ~= at then known[#known + 1] = at end
  elseif known ~= at then
    lists[text] = { known, at }
  end
end

-- "a/b-" ends inside a segment: lengths["a/"] gets 4.
local function add_length(index, text)
  index.lengths = index.lengths or {}
  local lengths, parent = index.lengths, text:match("^.*/") or ""
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

local function add_reach(index, at, text)
  local how = sub(text, 1, 1)
  text = sub(text, 2)
  if index.folds then text = lower(text) end
  if how == "=" then
    add(index.exact, text, at)
  else
    add(index.below, text, at)
    local _, slashes = gsub(text, "/", "/")
    if slashes > index.depth then index.depth = slashes end
    if sub(text, -1) ~= "/" then add_length(index, text) end
  end
end

local function has_deny(rules)
  for _, rule in ipairs(rules) do
    if rule.kind == "deny" then return true end
  end
  return false
end

function M.build(rules)
  local index = { rules = rules, exact = {}, below = {}, rest = {}, depth = 0,
    folds = has_deny(rules) }
  for at, rule in ipairs(rules) do
    for _, text in ipairs(rule.reach or NONE) do add_reach(index, at, text) end
    if not rule.reach then index.rest[#index.rest + 1] = at end
  end
  return index
end

-- The first of some places, before `best`, whose rule matches; or what was known.
local function better(rules, places, name, best, captures)
  local only = rules[places]
  if only then -- it is one place: the usual case
    local found = (not best or places < best) and only.match(name)
    if found then return places, found end
    return best, captures
  end
  for i = 1, #places do
    local at = places[i]
    if best and best < at then break end
    local found = rules[at].match(name)
    if found then return at, found end
  end
  return best, captures
end

-- Beginnings that end inside a segment: those of `parent`.
local function inside(index, parent, text, name, best, captures)
  local lengths = index.lengths[parent]
  for i = 1, lengths and #lengths or 0 do
    local places = index.below[sub(text, 1, lengths[i])]
    if places then best, captures = better(index.rules, places, name, best, captures) end
  end
  return best, captures
end

-- The first rule that matches the name, and its captures; nil when there is none.
function M.first(index, name)
  local rules, text, best, captures = index.rules, name, nil, nil
  if index.folds then text = lower(name) end
  local places = index.exact[text]
  if places then best, captures = better(rules, places, name) end
  if index.lengths then best, captures = inside(index, "", text, name, best, captures) end
  local below, slash = index.below, 0
  for _ = 1, index.depth do
    slash = find(text, "/", slash + 1, true)
    if not slash then break end
    local parent = sub(text, 1, slash)
    places = below[parent]
    if places then best, captures = better(rules, places, name, best, captures) end
    if index.lengths then best, captures = inside(index, parent, text, name, best, captures) end
  end
  places = index.rest
  if places[1] then best, captures = better(rules, places, name, best, captures) end
  if best then return rules[best], captures end
end

return M
