-- verbs.lua - everything that changes a secret or looks at more than its value: these go
-- to one place, the first step of the name's plan whose source can be written.  When that
-- has nothing, the message names the steps that were not touched.
local after = require "moonlatch.after"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local plan = require "moonlatch.plan"

local M = { by_name = {} }

local function read_only(call, steps)
  local seen, words = {}, {}
  for _, step in ipairs(steps) do
    local s = step.source
    if not seen[s] then
      seen[s] = true
      words[#words + 1] = ("%s (%s)"):format(s.alias, s.kind)
    end
  end
  return fault.new("usage", ('%s "%s": its plan has no source that can be written: %s')
    :format(call.verb, call.name, table.concat(words, ", ")))
end

local function place_of(step)
  return step.source.alias .. ":" .. step.key
end

local WRITES = { put = true, update = true, delete = true, recover = true, purge = true,
  restore = true }

-- Before the first request.
local function frozen(call, rule)
  local why = rule.read_only
  if not why or not WRITES[call.verb] then return nil end
  return fault.new("policy", ('%s: %s "%s": the policy is read-only here%s'):format(
    rule.where, call.verb, call.name, why ~= true and ": " .. why or ""))
end

-- The step, and the others of the plan that could be written: "kv:b, kv:c", or nil.
local function target(policy, call)
  local steps, f = plan.told(plan.checked(policy, call.name, call.context))
  if not steps then return nil, f end
  local refused = frozen(call, f)
  if refused then return nil, refused end
  local step, others = nil, {}
  for i = 1, #steps do
    if steps[i].source.writable then
      if step then others[#others + 1] = place_of(steps[i]) end
      step = step or steps[i]
    end
  end
  if not step then return nil, read_only(call, steps) end
  step.others = #others > 0 and table.concat(others, ", ") or nil
  return step
end

-- A ladder has the name further down, perhaps: nobody looked there.
local function told(f, step)
  if f.code ~= "missing" or not step.others then return f end
  return fault.retold(f, ("%s (this verb asks the first step that can be written, %s; "
    .. "not touched: %s)"):format(f.text, place_of(step), step.others))
end

local function ask(step, verb, args)
  args.key = step.key
  local result, f = step.source.raw:call(verb, args)
  if result ~= nil then return result end
  f = told(fault.of(f, "invalid"), step)
  if f.source == nil or f.source == "" then f.source = step.source.alias end
  if f.key == nil or f.key == "" then f.key = step.key end
  return nil, f
end

local function named(secret, name)
  return core.with_name(secret, name)
end

local function one(secret, call)
  return { secrets = { named(secret, call.name) } }
end

-- A new version would lose what only the current one has: tags and content type.
local function keep_metadata(step, call, args)
  if call.replace_metadata or (args.tags and args.content_type) then return true end
  local current, f = ask(step, "get", { refresh = true })
  if current then
    args.tags = args.tags or current:tags()
    args.content_type = args.content_type or current:content_type()
    if args.content_type == "" then args.content_type = nil end
    return true
  end
  if f.code == "missing" then return true end
  if f.code == "forbidden" or f.code == "disabled" then
    f = fault.retold(f, f.text .. "; put reads the current version to keep its tags and "
      .. "content type: give both, or ask to replace the metadata")
  end
  return nil, f
end

-- What get would not give back: a part of the secret, or another version.
local function unlike_get(step)
  if step.after and step.after.changes then
    return ("its rule answers with a part of %s (%s), and this would replace the whole")
      :format(place_of(step), after.shown(step.after))
  end
  if step.version then
    return ("the policy pins %s to one version, so a new one would not be read")
      :format(place_of(step))
  end
end

-- Before the first request: a value that is too long needs no network to be refused.
local function can_keep(step, call)
  local why = unlike_get(step)
  local fine = why == nil
  if fine then fine, why = step.source.raw:check(step.key, call.value) end
  if fine then return true end
  local f = fault.new("usage", ('put "%s": %s'):format(call.name, why))
  f.source, f.key = step.source.alias, step.key
  return nil, f
end

function M.by_name.put(policy, call)
  local step, f = target(policy, call)
  if not step then return nil, f end
  local args = {
    value = call.value, content_type = call.content_type, tags = call.tags,
    enabled = call.enabled, not_before_s = call.not_before_s, expires_s = call.expires_s,
  }
  local kept
  kept, f = can_keep(step, call)
  if not kept then return nil, f end
  kept, f = keep_metadata(step, call, args)
  if not kept then return nil, f end
  local secret
  secret, f = ask(step, "put", args)
  if not secret then return nil, f end
  return one(secret, call)
end

-- Verbs that answer one secret.
local function simple(verb, fields)
  return function(policy, call)
    local step, f = target(policy, call)
    if not step then return nil, f end
    local args = {}
    for _, field in ipairs(fields) do args[field] = call[field] end
    local secret
    secret, f = ask(step, verb, args)
    if not secret then return nil, f end
    return one(secret, call)
  end
end

M.by_name.update = simple("update", {
  "version", "content_type", "tags", "enabled", "not_before_s", "expires_s",
})
M.by_name.delete = simple("delete", {})
M.by_name.get_deleted = simple("get_deleted", {})
M.by_name.recover = simple("recover", {})
M.by_name.backup = simple("backup", {})

function M.by_name.versions(policy, call)
  local step, f = target(policy, call)
  if not step then return nil, f end
  local all
  all, f = ask(step, "versions", {})
  if not all then return nil, f end
  if #all == 0 then
    f = fault.new("missing", ('"%s" has no version: %s is missing'):format(call.name,
      place_of(step)))
    f.source, f.key = step.source.alias, step.key
    return nil, told(f, step)
  end
  local secrets = {}
  for i, s in ipairs(all) do secrets[i] = named(s, call.name) end
  return { secrets = secrets }
end

function M.by_name.purge(policy, call)
  local step, f = target(policy, call)
  if not step then return nil, f end
  local done
  done, f = ask(step, "purge", {})
  if not done then return nil, f end
  return {}
end

-- The blob says which key it restores; the name says where only.
function M.by_name.restore(policy, call)
  local step, f = target(policy, call)
  if not step then return nil, f end
  local secret
  secret, f = ask(step, "restore", { value = call.value })
  if not secret then return nil, f end
  if secret:key():lower() == step.key:lower() then secret = named(secret, call.name) end
  return { secrets = { secret } }
end

return M
