-- options.lua - strict option tables: unknown keys and wrong types are errors that name
-- the user's file and line.
local M = {}

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

-- Raises text with where in front; engine.load turns it into a policy error.
function M.refuse(where, text, ...)
  error(where .. ": " .. text:format(...), 0)
end

local function article(want)
  return (want:find("^[aeiou]") and "an " or "a ") .. want
end

-- schema: { option = "string" | "boolean" | "table" | ... | true: any |
-- function(value) -> problem | nil }.
-- Returns t, so that a caller may leave out an optional table.
function M.check(where, what, t, schema)
  if type(t) ~= "table" then
    M.refuse(where, "%s needs a table of options, not %s", what, article(type(t)))
  end
  for k, v in pairs(t) do
    local want = schema[k]
    if not want then
      M.refuse(where, "%s has no option %s (options: %s)", what,
        type(k) == "string" and ("'%s'"):format(k) or "[" .. tostring(k) .. "]",
        table.concat(sorted_keys(schema), ", "))
    end
    local problem
    if type(want) == "function" then
      problem = want(v)
    elseif want ~= true and type(v) ~= want then
      problem = ("%s is needed, not %s"):format(article(want), article(type(v)))
    end
    if problem then M.refuse(where, "%s, option '%s': %s", what, k, problem) end
  end
  return t
end

local LONGEST = 8192 -- bytes of an option that C keeps outside of the policy's memory

function M.not_empty(v)
  if type(v) ~= "string" then return "a string is needed, not " .. article(type(v)) end
  if v == "" then return "it is empty" end
  if #v > LONGEST then return ("it is longer than %d bytes"):format(LONGEST) end
end

function M.string_map(v)
  if type(v) ~= "table" then return "a table is needed, not " .. article(type(v)) end
  for k, to in pairs(v) do
    if type(k) ~= "string" or type(to) ~= "string" then
      return "every key and every value must be a string"
    end
  end
end

-- A list without holes whose elements all pass; what names one element.
function M.list_of(v, passes, what)
  local n = 0
  for _ in pairs(v) do n = n + 1 end
  if n == 0 then return "the list is empty" end
  for i = 1, n do
    if v[i] == nil then return "a list is needed, without holes and without named keys" end
    if not passes(v[i]) then return ("element %d is not %s"):format(i, what) end
  end
end

-- Is this one of core's opaque secrets?  Policies can build no table that passes: they
-- have no metatables.
function M.is_secret(v)
  return type(v) ~= "string" and tostring(v) == "secret (hidden)"
end

M.article = article
return M
