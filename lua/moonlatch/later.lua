-- later.lua - a module that is loaded when it is first used: most processes get one secret
-- by one rule, and need little of the policy language.
--
--   local team = later "moonlatch.team"
return function(name)
  return setmetatable({}, { __index = function(module, k)
    local v = require(name)[k]
    rawset(module, k, v)
    return v
  end })
end
