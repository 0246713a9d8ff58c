-- fake_source.lua - stands in for a source while a case of the policy's author runs: it
-- answers from the case's table, at once, and counts the time that it should have taken.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"

local M = {}

local function failure(outcome, entry, key, text)
  local f = fault.new(outcome, text)
  f.source, f.key = entry.alias, key
  return nil, f
end

local function folds_case(entry) return entry.kind == "key_vault" end

local function answer_of(keys, entry, key)
  if keys[key] ~= nil then return keys[key] end
  if folds_case(entry) then
    for k, answer in pairs(keys) do
      if k:lower() == key:lower() then return answer end
    end
  end
  return keys["*"]
end

-- clock = { spent_ms =, timeout_ms = | nil }, shared by the fakes of one case.
local function too_late(clock, delay_ms)
  clock.spent_ms = clock.spent_ms + (delay_ms or 0)
  return clock.timeout_ms and clock.spent_ms > clock.timeout_ms
end

local function call(entry, keys, clock, args)
  local answer = answer_of(keys, entry, args.key)
  if answer == nil then return failure("missing", entry, args.key, "the fake has no such key") end
  if type(answer) == "string" then answer = { value = answer } end
  if too_late(clock, answer.delay_ms) then
    return failure("unavailable", entry, args.key,
      ("no answer within %d ms"):format(clock.timeout_ms))
  end
  if answer.outcome then
    return failure(answer.outcome, entry, args.key, "the fake says so")
  end
  local version = answer.version
  if args.version and args.version ~= "" and args.version ~= version then
    return failure("missing", entry, args.key, "the fake has another version")
  end
  return core.describe(answer.value, {
    source = entry.alias, key = args.key, version = version,
    content_type = answer.content_type, tags = answer.tags,
  })
end

-- A copy of the source's entry that asks keys instead of the source; nil keys: it must
-- not be asked, and `unfaked` is told.
function M.entry(entry, keys, clock, unfaked)
  local raw = {}
  function raw.check(_, ...) return entry.raw:check(...) end
  function raw.stale(_, key)
    local answer = keys and answer_of(keys, entry, key)
    if type(answer) ~= "table" or not answer.stale then return nil end
    return core.describe(answer.stale, { source = entry.alias, key = key }), 0
  end
  function raw.call(_, verb, args)
    if keys and verb == "get" then return call(entry, keys, clock, args) end
    unfaked(entry.alias)
    return failure("policy", entry, args.key, "the case has no fake for " .. entry.alias)
  end
  local fake = {}
  for k, v in pairs(entry) do fake[k] = v end
  fake.raw = raw
  return fake
end

return M
