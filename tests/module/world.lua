-- world.lua - what the scripts here share: a handle on the vault, and named cases.
local moonlatch = require "moonlatch"
local world = {}

collectgarbage("incremental", 10, 1000) -- always at work: what nobody holds goes at once

local policy = [[
local ml = require 'moonlatch.policy'
local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }
return ml.policy { ml.rule 'slow/*' { strip = 'slow/', from = kv, ttl = 0 },
                   ml.rule '**' { from = kv } }
]]

function world.open(more)
  local options = { policy_text = policy, deadline_ms = 30000 }
  for name, value in pairs(more or {}) do options[name] = value end
  return assert(moonlatch.open(options))
end

-- Steps until is_true() does not say no any more.
function world.step_until(r, is_true)
  local give_up = os.time() + 30
  while not is_true() do
    assert(os.time() < give_up, "nothing happens")
    assert(r:step(1000))
  end
end

function world.raises(text, f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, "no error, instead of " .. text)
  assert(tostring(e):find(text, 1, true), "another error than " .. text .. ": " .. tostring(e))
end

-- The module of this name, or the end of the script: skipped.
function world.need(name)
  local ok, module = pcall(require, name)
  if ok then return module end
  print("skipped: there is no " .. name .. " for " .. _VERSION)
  os.exit(77)
end

function world.case(name, f)
  print("  " .. name)
  f()
  collectgarbage()
end

return world
