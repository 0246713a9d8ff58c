-- rule_options.lua - what may stand in ml.rule "..." { ... }: each option alone, then
-- those that exclude or need each other.
local after = require "moonlatch.after"
local fault = require "moonlatch.fault"
local keep = require "moonlatch.keep"
local options = require "moonlatch.options"

local M = {}

local ACTIONS = { next = true, stop = true, default = true, stale = true }
-- An old value may stand in for one that cannot be had now, not for one that is refused.
local MAY_BE_STALE = { throttled = true, unavailable = true }

local function is_string(v) return type(v) == "string" end

local function string_or_list(v)
  if type(v) == "string" then return nil end
  if type(v) ~= "table" then return "a string or a list of strings is needed" end
  return options.list_of(v, is_string, "a string")
end

local function by_text(v)
  local problem = options.string_map(v)
  if problem then return problem end
  if v[""] then return "an empty text cannot be replaced" end
end

function M.check_on(v)
  if type(v) ~= "table" then return "a table is needed, not " .. options.article(type(v)) end
  for outcome, action in pairs(v) do
    if not fault.outcomes[outcome] then
      return ("'%s' is not an outcome (missing, disabled, forbidden, unauthenticated, "
        .. "throttled, unavailable, invalid, policy)"):format(tostring(outcome))
    end
    if not ACTIONS[action] then
      return ("%s = '%s': next, stop, stale or default is needed"):format(
        outcome, tostring(action))
    end
    if action == "stale" and not MAY_BE_STALE[outcome] then
      return ("%s = 'stale': an old value can stand in only where the source is throttled "
        .. "or unavailable"):format(outcome)
    end
  end
end

local function check_default(v)
  if type(v) ~= "string" and not options.is_secret(v) then
    return "a string or an ml.env_secret is needed"
  end
end

local function from_check(registry)
  return function(v)
    if registry.is_handle(v) then return nil end
    if type(v) ~= "table" then return "a source or a list of sources is needed" end
    return options.list_of(v, registry.is_handle, "a source (ml.azure_key_vault {...}, ...)")
  end
end

function M.check_read_only(v)
  if v ~= true and options.not_empty(v) then return "true, or a text that says why, is needed" end
end

-- Made once for each policy file.
function M.schema(registry)
  local schema = registry.rule_schema
  if schema then return schema end
  schema = {
    from = from_check(registry), strip = string_or_list, prefix = string_or_list,
    suffix = "string", replace = by_text, lower = "boolean", upper = "boolean",
    encode = "boolean", names = by_text, map = "function", inverse = "function",
    version = options.not_empty, on = M.check_on, default = check_default,
    label = options.not_empty, read_only = M.check_read_only,
  }
  for k, check in pairs(after.OPTIONS) do schema[k] = check end
  for k, check in pairs(keep.OPTIONS) do schema[k] = check end
  registry.rule_schema = schema
  return schema
end

-- ---- several options at once ----

local MAPPING = { "strip", "prefix", "suffix", "replace", "lower", "upper", "encode", "names",
  "version" }

local function check_map(refuse, o)
  for _, k in ipairs(MAPPING) do
    if o[k] ~= nil then refuse("ml.rule: 'map' does the whole mapping: remove '%s'", k) end
  end
  if o.from ~= nil and not o.inverse then
    refuse("ml.rule: 'map' does the whole mapping: remove 'from' (or add 'inverse', and "
      .. "'from' says which sources are listed)")
  end
  if o.inverse and o.from == nil then
    refuse("ml.rule: 'inverse' needs 'from': the sources whose keys it is asked about")
  end
end

local function check_changes(refuse, o)
  if o.lower and o.upper then refuse("ml.rule: 'lower' and 'upper' exclude each other") end
  for _, k in ipairs { "replace", "lower", "upper" } do
    if o.encode and o[k] then
      refuse("ml.rule: 'encode' keeps every character of a name: remove '%s'", k)
    end
  end
end

function M.check_together(where, o)
  local function refuse(...) options.refuse(where, ...) end
  if o.map then
    check_map(refuse, o)
  elseif o.from == nil then
    refuse("ml.rule needs 'from' (a source or a list of sources) or 'map'")
  elseif o.inverse then
    refuse("ml.rule: 'inverse' belongs to 'map'; what the other options do has its own")
  end
  check_changes(refuse, o)
  for outcome, action in pairs(o.on or {}) do
    if action == "default" and o.default == nil then
      refuse("ml.rule: on.%s = 'default', but there is no 'default'", outcome)
    end
  end
  keep.check_together(refuse, o)
end

return M
