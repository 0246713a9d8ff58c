-- index.lua - which rules could match a name, told by its first segment: a rule must not
-- cost the names of others.
--
-- A rule whose patterns all begin with a literal segment has `heads`, the set of these
-- segments; any other rule could match anything.  Order is kept: the first rule decides.
local M = {}

local find, sub = string.find, string.sub -- not the bounded methods: this is the hot path

-- { by_head = { segment = rules }, rest = rules for every other first segment }
function M.build(rules)
  local by_head, rest = {}, {}
  for _, rule in ipairs(rules) do
    for head in pairs(rule.heads or {}) do by_head[head] = {} end
  end
  for _, rule in ipairs(rules) do
    if not rule.heads then rest[#rest + 1] = rule end
    for head, list in pairs(by_head) do
      if not rule.heads or rule.heads[head] then list[#list + 1] = rule end
    end
  end
  return { by_head = by_head, rest = rest }
end

function M.candidates(index, name)
  local slash = find(name, "/", 1, true)
  return index.by_head[slash and sub(name, 1, slash - 1) or name] or index.rest
end

return M
