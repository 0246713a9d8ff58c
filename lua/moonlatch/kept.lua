-- kept.lua - puts the cache in front of a source that is written in Lua.
--
--   raw = kept.wrap(raw [, ignores_case])
--
-- raw: a table with the methods alias kind label writable check call.  What is returned
-- has them too, and stale and kept, as sources of C have.  Many calls that want one key
-- at once become one raw:call; a raw that, through others, asks for what it is just being
-- asked fails with the chain of keys instead of waiting for itself.
local core = require "moonlatch.core"

local M = {}

local CHANGES = {
  put = true, update = true, delete = true, recover = true, purge = true, restore = true,
}

-- Asks raw for everybody.  If raw raises, or its call is canceled, the flight is closed
-- unfinished, and one of those who wait asks again.
local function fly(raw, flight, args)
  local mine <close> = flight
  local secret, f = raw:call("get", args)
  if secret and args.name then secret = core.with_name(secret, args.name) end
  mine:finish(secret or nil, f)
  if secret then return secret end
  return nil, f
end

local function get(raw, shelf, args)
  while true do
    local how, what = shelf:look(args.key, args.version, args)
    if how == "found" then return what end
    if how == "failed" then return nil, what end
    if how == "free" then return fly(raw, what, args) end
    local secret, f = shelf:wait(args.key, args.version, args)
    if secret ~= true then return secret, f end
  end
end

-- What was asked in between is forgotten, too, even if the call is canceled: the change
-- may have happened all the same.
local function change(raw, shelf, verb, args)
  local key = verb ~= "restore" and args.key or nil
  local function forget() shelf:forget(key) end
  forget()
  local _ <close> = setmetatable({}, { __close = forget })
  return raw:call(verb, args)
end

function M.wrap(raw, ignores_case)
  local shelf = core.kept { alias = raw:alias(), ignores_case = ignores_case or false }
  if not shelf then return raw end
  local kept = {}
  for _, method in ipairs { "alias", "kind", "label", "writable", "check" } do
    kept[method] = function(_, ...) return raw[method](raw, ...) end
  end
  function kept.call(_, verb, args)
    args = args or {}
    if verb == "get" then return get(raw, shelf, args) end
    if CHANGES[verb] then return change(raw, shelf, verb, args) end
    return raw:call(verb, args)
  end
  function kept.stale(_, ...) return shelf:stale(...) end
  function kept.kept(_, ...) return shelf:kept(...) end
  return kept
end

return M
