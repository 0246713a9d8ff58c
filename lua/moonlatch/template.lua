-- template.lua - texts with placeholders: "billing-{env}-".
--
--   {env}         filled from the captures of the pattern, then from the context; one
--                 that is not set, or is empty, is an error and never an empty string
--   {env?}        where a text may be left out (a rung of a prefix ladder): if it is not
--                 set, the whole text is left out
--   {env:upper}   with the case of a-z changed;  {env:lower}, {env:upper?} too
local M = {}

local find, match = string.find, string.match -- not the bounded methods: every rule asks

local CASES = { [""] = false, [":upper"] = string.upper, [":lower"] = string.lower }

local function placeholder(text, at)
  local name, case, optional, past = match(text, "^{([%w_]+)(:?%a*)(%??)}()", at)
  if not name or CASES[case] == nil then return nil end
  return {
    name = name, index = math.tointeger(tonumber(name)) or name,
    case = CASES[case] or nil, optional = optional ~= "",
  }, past
end

-- { plain = text } or { parts = { "billing-", { name = "env" }, "-" } }; nil, problem.
-- Who is in a hurry takes `plain` where it is set, and calls expand where it is not.
function M.compile(text, may_be_left_out)
  if not find(text, "[{}]") then return { plain = text } end
  local parts, from = {}, 1
  while true do
    local at = find(text, "[{}]", from)
    if not at then break end
    local part, past = placeholder(text, at)
    if not part then
      return nil, ("'%s': braces are for placeholders like {env} or {env:upper}"):format(text)
    end
    if part.optional and not may_be_left_out then
      return nil, ("'%s': {%s?} can leave out a prefix of a ladder only"):format(text, part.name)
    end
    if at > from then parts[#parts + 1] = text:sub(from, at - 1) end
    parts[#parts + 1] = part
    from = past
  end
  if from <= #text then parts[#parts + 1] = text:sub(from) end
  return { parts = parts }
end

local function value_of(part, captures, context)
  local v = captures[part.index] or context[part.name]
  if not v or v == "" then return nil end
  return part.case and part.case(v) or v
end

-- The text; nil and the name of the placeholder that is not set; or false: left out.
function M.expand(t, captures, context)
  if t.plain then return t.plain end
  local out = {}
  for i, part in ipairs(t.parts) do
    if type(part) == "table" then
      local v = value_of(part, captures, context)
      if not v then
        if part.optional then return false end
        return nil, part.name
      end
      part = v
    end
    out[i] = part
  end
  return table.concat(out)
end

return M
