-- policy.lua - loads policies and runs calls on them, for specs.
--
--   local t = require "support.policy"
--   local p = t.load(text [, script for fake.reset])    text of the policy's rules:
--       "...": placed into  local ml = require "moonlatch.policy"  <text>
--   t.get(p, name [, context])       -> "alias:key=value" | nil, fault
--   t.plan(p, name [, context])      -> "alias:key alias:key" | nil, fault
--   t.refused(text)                  -> the fault of a policy that does not load
--   t.ok(value, "claim")  t.fails(value, fault, "code" [, "text in it"])
--
-- Line 1 of every text is the one with the require, so the first line of `text` is 2.
local saved = {}
for name, f in pairs(string) do saved[name] = f end

local fake = require "support.fake_core"
local engine = require "moonlatch.engine"
local fault = require "moonlatch.fault"
local plan = require "moonlatch.plan"

local M = { fake = fake, engine = engine }

-- The guard on strings stays out of busted's way; sandbox_spec tests it.
local function unguarded(f, ...)
  local results = table.pack(pcall(f, ...))
  for name, original in pairs(saved) do rawset(string, name, original) end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local HEAD = 'local ml = require "moonlatch.policy"\n'

M.URL = "https://acme.vault.azure.net"

-- Loads whole text, under the name p.lua.
function M.load_whole(text)
  return unguarded(engine.load, text, "p.lua")
end

-- A policy of files: script.files["/etc/ml/..."]; path: "/etc/ml/policy.lua" by default.
function M.load_path(script, path)
  fake.reset(script)
  path = path or "/etc/ml/policy.lua"
  return unguarded(engine.load, nil, path:gsub("^/etc/ml/", ""), path)
end

function M.refused_path(script, path)
  local fine, f = pcall(M.load_path, script, path)
  assert(not fine, "the policy should not load")
  assert(type(f) == "table" and f.code, "not a fault: " .. tostring(f))
  return f
end

function M.load(text, script)
  if script then fake.reset(script) end
  return M.load_whole(HEAD .. text)
end

function M.refused(text, script)
  if script then fake.reset(script) end
  local fine, f = pcall(M.load_whole, HEAD .. text)
  assert(not fine, "the policy should not load")
  assert(type(f) == "table" and f.code, "not a fault: " .. tostring(f))
  return f
end

function M.run(p, verb, name, more)
  local call = { verb = verb, name = name }
  for k, v in pairs(more or {}) do call[k] = v end
  local fine, answer, f = pcall(engine.run, p, call) -- as C does
  if not fine then return nil, fault.of(answer, "policy") end
  return answer, f
end

function M.get(p, name, context)
  local s, f = M.run(p, "get", name, { context = context })
  if not s then return nil, f end
  return ("%s:%s=%s"):format(s:source(), s:key(), fake.reveal(s))
end

function M.plan(p, name, context)
  local fine, steps, f = pcall(plan.checked, p, name, context or {})
  if not fine then return nil, steps end
  if not steps then return nil, f end
  local words = {}
  for i, s in ipairs(steps) do words[i] = s.source.alias .. ":" .. s.key end
  return table.concat(words, " ")
end

function M.names(p, pattern, context, verb)
  local answer, f = M.run(p, verb or "list", pattern, { context = context })
  if not answer then return nil, f end
  local words = {}
  for i, s in ipairs(answer.secrets) do words[i] = s:name() end
  return table.concat(words, " "), answer
end

local function describe_fault(f)
  return type(f) == "table" and ("%s: %s"):format(f.code, f.text) or tostring(f)
end

function M.ok(value, f, claim)
  if not value then error(("%s: %s"):format(claim or "should work", describe_fault(f)), 2) end
end

function M.fails(value, f, code, text)
  if value ~= nil then error("should fail with " .. code .. ", got " .. tostring(value), 2) end
  if f.code ~= code then
    error(("should fail with %s, not %s"):format(code, describe_fault(f)), 2)
  end
  if text and not f.text:find(text, 1, true) then
    error(("the text should say '%s': %s"):format(text, f.text), 2)
  end
end

-- How many source:call there were, and of which sources.
function M.asked()
  local words = {}
  for i, c in ipairs(fake.calls) do
    words[i] = ("%s %s:%s"):format(c[1], c[2], c[3] or "")
  end
  return table.concat(words, ", ")
end

return M
