-- require_options.lua - `require = { ... }` of a rule: what a stored secret must be like.
--
--   min_bytes, max_bytes   of the stored value
--   utf8, json = true      its form
--   like = "postgres://*"  or a list of which one must fit: '*' is any bytes
--   content_type = "..."   or a list; letters without case
--   tag = { team = "billing", owner = true, draft = false }   this value, any, none
--   not_expired = true     its expiry date, if any, has not passed
--   valid_now = true       neither expired nor before its "not before" date
--   max_age_days = 90      this version is not older
--   check = function(meta) -> true | false [, "why"]   anything else about its metadata:
--                          { source, key, version, content_type, tags, attributes }
--
-- Dates are compared with the host's clock when the source answers; an answer from a
-- cache was looked at when it was fetched.
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local options = require "moonlatch.options"

local M = {}

local limited = core.limited

local DAY_S = 24 * 60 * 60

-- ---- options ----

local function only_true(v)
  if v ~= true then return "leave it out, or write true" end
end

local function check_count(v)
  if math.type(v) ~= "integer" or v < 0 then return "a whole number is needed, 0 or more" end
end

local function check_days(v)
  if type(v) ~= "number" or not (v > 0 and v < 100000) then
    return "a number of days is needed, more than 0"
  end
end

local function is_text(v) return type(v) == "string" and v ~= "" end

local function texts(v)
  if type(v) ~= "table" then v = { v } end
  return options.list_of(v, is_text, "a text")
end

local function check_tags(v)
  if type(v) ~= "table" then return "a table is needed: { name = \"value\" }" end
  for name, wanted in pairs(v) do
    if type(name) ~= "string" or type(wanted) ~= "string" and type(wanted) ~= "boolean" then
      return "write { name = \"value\" }, or true (any value) or false (no such tag)"
    end
    if type(wanted) == "string" and wanted:find("[{}]") then
      return "placeholders are not filled here: the secret is looked at after the plan"
    end
  end
end

local SCHEMA = {
  min_bytes = check_count, max_bytes = check_count, utf8 = only_true, json = only_true,
  like = texts, content_type = texts, tag = check_tags, not_expired = only_true,
  valid_now = only_true, max_age_days = check_days, check = "function",
}

-- For rule options: problem | nil.
function M.check(v)
  if type(v) ~= "table" then return "a table is needed: { min_bytes = 1 }" end
  if next(v) == nil then return "it is empty" end
  local fine, problem = pcall(options.check, "", "require", v, SCHEMA)
  if not fine then return (tostring(problem):gsub("^: ", "")) end
  if v.min_bytes and v.max_bytes and v.min_bytes > v.max_bytes then
    return "min_bytes is more than max_bytes"
  end
end

-- ---- tests: each gives what is wrong, or nil ----

local function as_list(v) return type(v) == "table" and v or { v } end

local function value_test(o)
  local limits = {
    min_bytes = o.min_bytes, max_bytes = o.max_bytes, utf8 = o.utf8, json = o.json,
    like = o.like and as_list(o.like),
  }
  if next(limits) == nil then return nil end
  return function(secret) return core.value_problem(secret, limits) end
end

local function content_type_test(wanted)
  if not wanted then return nil end
  wanted = as_list(wanted)
  return function(secret)
    local has = secret:content_type():lower()
    for _, w in ipairs(wanted) do
      if w:lower() == has then return nil end
    end
    return has == "" and "it has no content type" or ("its content type is '%s'"):format(has)
  end
end

local function tag_test(wanted)
  if not wanted then return nil end
  return function(secret)
    local tags = secret:tags()
    for name, w in pairs(wanted) do
      local has = tags[name]
      if w == false and has then return ("it has the tag '%s'"):format(name) end
      if w and not has then return ("it has no tag '%s'"):format(name) end
      if type(w) == "string" and has ~= w then
        return ("its tag '%s' is not '%s'"):format(name, w)
      end
    end
  end
end

local function date(seconds)
  local days = seconds // DAY_S + 719468 -- since 0000-03-01, in years that begin in March
  local era = days // 146097
  local of_era = days - era * 146097
  local year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
  local of_year = of_era - (365 * year + year // 4 - year // 100)
  local month = (5 * of_year + 2) // 153
  local day = of_year - (153 * month + 2) // 5 + 1
  month = month < 10 and month + 3 or month - 9
  return ("%04d-%02d-%02d"):format(year + era * 400 + (month <= 2 and 1 or 0), month, day)
end

local function date_test(o)
  if not (o.not_expired or o.valid_now or o.max_age_days) then return nil end
  return function(secret)
    local a, now = secret:attributes(), core.wall_s()
    if (o.not_expired or o.valid_now) and a.expires_s and a.expires_s <= now then
      return "it expired on " .. date(a.expires_s)
    end
    if o.valid_now and a.not_before_s and a.not_before_s > now then
      return "it is not valid before " .. date(a.not_before_s)
    end
    if o.max_age_days and not a.created_s then return "nothing says when it was made" end
    if o.max_age_days and now - a.created_s > o.max_age_days * DAY_S then
      return ("it is of %s, older than %g days"):format(date(a.created_s), o.max_age_days)
    end
  end
end

local function own_test(check)
  if not check then return nil end
  return function(secret)
    local fine, right, why = limited(check, {
      source = secret:source(), key = secret:key(), version = secret:version(),
      content_type = secret:content_type(), tags = secret:tags(),
      attributes = secret:attributes(),
    })
    if not fine then return "check failed: " .. fault.text_of(right) end
    if right then return nil end
    return type(why) == "string" and why or "check says no"
  end
end

-- function(secret) -> secret | nil, why
function M.test(o)
  local tests = {}
  local function add(test) tests[#tests + 1] = test end -- nil adds nothing
  add(value_test(o))
  add(content_type_test(o.content_type))
  add(tag_test(o.tag))
  add(date_test(o))
  add(own_test(o.check))
  return function(secret)
    for i = 1, #tests do
      local problem = tests[i](secret)
      if problem then return nil, problem end
    end
    return secret
  end
end

-- "max_bytes, tag"
function M.shown(o)
  local words = {}
  for k in pairs(o) do words[#words + 1] = k end
  table.sort(words)
  return table.concat(words, ", ")
end

return M
