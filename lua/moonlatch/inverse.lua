-- inverse.lua - from a key back to the names that lead to it: which rules can, and how.
--
-- Candidates only: whoever asks maps each one forward again.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local names = require "moonlatch.names"

local M = {}

local limited = core.limited

-- Why a rule has no inverse, nil when it has one.  Without a context: whether it has one
-- in some context.
function M.problem(rule, context)
  if rule.spec and context == nil then return names.one_way(rule.spec) end
  if rule.spec then
    local fine, why = names.can_invert(rule.spec, context)
    return not fine and why or nil
  end
  return rule.unlisted
end

-- The inverse that a policy gives beside its map, as plan.lua wants it.
function M.of_function(where, given)
  return function(handle, key, context)
    local copy = {}
    for k, v in pairs(context) do copy[k] = v end
    local fine, found = limited(given, key, copy, handle)
    local problem = not fine and fault.text_of(found) or nil
    if type(found) == "string" then found = { found } end
    if fine and found ~= nil and type(found) ~= "table" then
      problem = "inverse must return a name, a list of names or nil"
    end
    if problem then error(fault.new("policy", ("%s: %s"):format(where, problem)), 0) end
    local list = {}
    for i, name in ipairs(found or list) do
      if type(name) ~= "string" then
        error(fault.new("policy", where .. ": inverse returned a list with "
          .. type(name) .. " in it"), 0)
      end
      list[i] = name
    end
    return list
  end
end

local function groups_of(given)
  if type(given) == "string" then return { { given } } end
  local groups = {}
  for i, name in ipairs(given or {}) do
    if type(name) == "table" then name.aliases = true end
    groups[i] = type(name) == "table" and name or { name }
  end
  return groups
end

-- What a rule makes of a key: groups of candidates, of each of which the first that
-- leads to the key counts.  A group without any may say `why`.
function M.candidates(rule, source, key, context, folds_case)
  if rule.spec then return names.candidates(rule.spec, key, context, folds_case) end
  return groups_of(rule.inverse(source.handle, key, context))
end

return M
