-- case.lua - ml.case "name" { ... }: what a policy's author expects of one name.
--
--   context      { env = "prod" }                  what the host would say
--   version      text                              as in get NAME --version
--   plan         { "kv:key", "kv2:key@version" }   the steps, in order; or one text
--   rule         text                              the label of the rule that decides
--   fakes        { kv = { key = answer, ["*"] = answer } }   by alias of the source
--                answer: text, a value that is found; or { value =, version =,
--                content_type =, tags = {}, delay_ms = }; or { outcome = "throttled",
--                delay_ms =, stale = text }, stale being the older value that on =
--                "stale" finds.  A key that is not there is missing, unless "*" is
--   timeout_ms   number                            of the whole walk; delays count
--   outcome      "found" | "missing" | "forbidden" | ...     of the walk over the fakes,
--                or of the plan when there are no fakes
--   answer       text                              the value that is found
--   from         "kv:key"                          the step that answers
--
-- Nothing is asked but the fakes, and no time passes: delays are added up.
local fault = require "moonlatch.fault"
local options = require "moonlatch.options"

local M = {}

local function milliseconds(v)
  if math.type(v) ~= "integer" or v < 0 then return "whole milliseconds are needed" end
end

local function outcome_word(v)
  if v ~= "found" and not fault.outcomes[v] then
    return ("'%s' is not an outcome (found, missing, disabled, forbidden, "
      .. "unauthenticated, throttled, unavailable, invalid, policy)"):format(tostring(v))
  end
end

local function step_texts(v)
  if type(v) == "string" then return nil end
  if type(v) ~= "table" then return "a list of \"source:key\" is needed" end
  return options.list_of(v, function(s) return type(s) == "string" end, "a string")
end

-- ---- fakes ----

local FOUND = { value = "string", version = "string", content_type = "string",
  tags = options.string_map, delay_ms = milliseconds }
local FAILED = { outcome = outcome_word, delay_ms = milliseconds, stale = "string" }

-- nil, or what is wrong with one answer of a fake source.
local function answer_problem(answer)
  if type(answer) == "string" then return nil end
  if type(answer) ~= "table" or answer.value == nil == (answer.outcome == nil) then
    return "a text, { value = ... } or { outcome = ... } is needed"
  end
  local known = answer.value ~= nil and FOUND or FAILED
  for k, v in pairs(answer) do
    local want = known[k]
    local problem = not want and "there is no such field"
      or type(want) == "function" and want(v)
      or type(want) == "string" and type(v) ~= want and ("a %s is needed"):format(want)
    if problem then return ("%s: %s"):format(tostring(k), problem) end
  end
  if answer.outcome == "found" then return "outcome: found needs { value = ... }" end
end

local function fakes_problem(v)
  if type(v) ~= "table" then return "a table of sources by alias is needed" end
  for alias, keys in pairs(v) do
    if type(alias) ~= "string" or type(keys) ~= "table" then
      return "each source is written alias = { key = answer }"
    end
    for key, answer in pairs(keys) do
      local problem = type(key) ~= "string" and "keys are strings" or answer_problem(answer)
      if problem then return ("%s, key '%s': %s"):format(alias, tostring(key), problem) end
    end
  end
end

-- ---- the constructor ----

local SCHEMA = {
  context = options.string_map, version = options.not_empty, plan = step_texts,
  rule = options.not_empty, fakes = fakes_problem, timeout_ms = milliseconds,
  outcome = outcome_word, answer = "string", from = options.not_empty,
}

local function check_together(where, o)
  local function refuse(...) options.refuse(where, ...) end
  if o.plan == nil and o.rule == nil and o.outcome == nil and o.answer == nil
    and o.from == nil then
    refuse("ml.case expects nothing: give plan, rule, outcome, answer or from")
  end
  for _, k in ipairs { "answer", "from" } do
    if o[k] ~= nil and not o.fakes then
      refuse("ml.case: '%s' needs 'fakes', the sources that answer", k)
    end
    if o[k] ~= nil and o.outcome ~= nil and o.outcome ~= "found" then
      refuse("ml.case: '%s' goes with outcome = \"found\"", k)
    end
  end
  if o.timeout_ms and not o.fakes then refuse("ml.case: 'timeout_ms' needs 'fakes'") end
end

-- The case as selftest.lua runs it.
function M.new(where, name, o)
  if type(name) ~= "string" or name == "" then
    options.refuse(where, "ml.case needs the name that is asked for, a text")
  end
  options.check(where, "ml.case", o, SCHEMA)
  check_together(where, o)
  local case = { where = where, name = name }
  for k, v in pairs(o) do case[k] = v end
  if type(case.plan) == "string" then case.plan = { case.plan } end
  return case
end

return M
