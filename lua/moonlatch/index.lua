-- index.lua - which rules could match a name, told by its first segment: a rule must not
-- cost the names of others.
--
-- A rule whose patterns all begin with a literal segment has `heads`, the set of these
-- segments; any other rule could match anything.  Order is kept: the first rule decides.
-- Heads count without ASCII case, as deny rules do; the rules themselves look again.
--
-- Building is linear in the number of heads: what has no head is not copied to each.
local M = {}

local find, sub, lower = string.find, string.sub, string.lower -- unbounded: the hot path

local NONE = {}

-- { by_head = { segment = entries }, rest = entries }, an entry being { at =, rule = }.
function M.build(rules)
  local by_head, rest = {}, {}
  for at, rule in ipairs(rules) do
    local entry = { at = at, rule = rule }
    if not rule.heads then rest[#rest + 1] = entry end
    for head in pairs(rule.heads or NONE) do
      head = lower(head)
      local list = by_head[head] or {}
      if list[#list] ~= entry then list[#list + 1] = entry end
      by_head[head] = list
    end
  end
  return { by_head = by_head, rest = rest }
end

-- The first rule that matches the name, and its captures; nil when there is none.
function M.first(index, name)
  local slash = find(name, "/", 1, true)
  local own = index.by_head[lower(slash and sub(name, 1, slash - 1) or name)] or NONE
  local rest = index.rest
  local i, j = 1, 1
  while true do
    local entry, other = own[i], rest[j]
    if entry and (not other or entry.at < other.at) then
      i = i + 1
    else
      entry, j = other, j + 1
    end
    if not entry then return nil end
    local captures = entry.rule.match(name)
    if captures then return entry.rule, captures end
  end
end

return M
