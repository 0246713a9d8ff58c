-- given.lua - a source that a policy hands to a team, as the team sees it: the same
-- source, perhaps with some of its keys only.
--
-- The confinement is the source's own: whatever plans a step, other keys are refused
-- before the network, and listing leaves them out.
local fault = require "moonlatch.fault"
local match = require "moonlatch.match"

local M = {}

-- Patterns of keys -> function(key) -> boolean.  Key Vault's names have no case.
local function admitting(base, patterns)
  if not patterns then return function() return true end end
  local fold = base.kind == "key_vault"
  local matchers = {}
  for i, text in ipairs(patterns) do
    local m, problem = match.compile(fold and text:lower() or text)
    if not m then return nil, ("keys, '%s': %s"):format(text, problem) end
    matchers[i] = m
  end
  local test = match.any_of(matchers).test
  return function(key) return test(fold and key:lower() or key) ~= nil end
end

-- A backup says itself which key it restores, so keys cannot be held to.
local ANY_KEY = { restore = true }

-- A raw source (see sources.lua) in front of base.raw; has_all: every key was given.
local function fronted(base, admits, refusal, has_all)
  local raw = {}
  for _, name in ipairs { "alias", "kind", "label", "writable" } do
    raw[name] = function() return base.raw[name](base.raw) end
  end
  function raw.check(_, key, ...)
    if not admits(key) then return nil, refusal, "policy" end
    return base.raw:check(key, ...)
  end
  for _, name in ipairs { "stale", "kept" } do -- of what has a cache before it
    local look = base.raw[name]
    raw[name] = look and function(_, key, ...)
      if admits(key) then return look(base.raw, key, ...) end
    end
  end
  function raw.call(_, verb, args)
    local key = args and args.key
    if key == nil then return M.admitted(admits, base.raw:call(verb, args)) end
    local may = has_all or not ANY_KEY[verb]
    if may and admits(key) then return base.raw:call(verb, args) end
    local what = may and ('the key "%s"'):format(key) or verb .. ", which may be of any key,"
    local f = fault.new("policy", ("%s is refused: %s"):format(what, refusal))
    f.source, f.key = base.alias, key
    return nil, f
  end
  return raw
end

-- Of what a listing brought, that which may be seen.
function M.admitted(admits, all, f)
  if type(all) ~= "table" then return all, f end
  local some = {}
  for _, secret in ipairs(all) do
    if admits(secret:key()) then some[#some + 1] = secret end
  end
  return some
end

-- base: the entry of the policy that gives; keys: array of patterns or nil for all.
-- Returns an entry for the registry of the team, or nil, problem.  Its `base` and
-- `admits` let list ask the source once for all teams.
function M.entry(base, keys, team, where)
  local admits, problem = admitting(base, keys)
  if not admits then return nil, problem end
  local refusal = ('team "%s" was given %s only (%s)'):format(
    team, keys and table.concat(keys, ", ") or "", where)
  return {
    alias = base.alias, kind = base.kind, label = base.label, writable = base.writable,
    raw = fronted(base, admits, refusal, keys == nil), base = base, admits = admits, is_given = true,
  }
end

return M
