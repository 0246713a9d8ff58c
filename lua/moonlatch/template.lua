-- template.lua - texts with placeholders: "billing-{env}-".
--
-- A placeholder is filled from the captures of the pattern, then from the context.  One
-- that is not set, or is empty, is an error and never an empty string.
local M = {}

local find, match = string.find, string.match -- not the bounded methods: every rule asks

-- { plain = text } or { parts = { "billing-", { name = "env" }, "-" } }; nil, problem.
-- Who is in a hurry takes `plain` where it is set, and calls expand where it is not.
function M.compile(text)
  if not find(text, "[{}]") then return { plain = text } end
  local parts, from = {}, 1
  while true do
    local at = find(text, "[{}]", from)
    if not at then break end
    local name, past = match(text, "^{([%w_]+)}()", at)
    if not name then
      return nil, ("'%s': braces are for placeholders like {env}"):format(text)
    end
    if at > from then parts[#parts + 1] = text:sub(from, at - 1) end
    parts[#parts + 1] = { name = name, index = math.tointeger(tonumber(name)) or name }
    from = past
  end
  if from <= #text then parts[#parts + 1] = text:sub(from) end
  return { parts = parts }
end

local function value_of(part, captures, context)
  local v = captures[part.index] or context[part.name]
  if v ~= "" then return v end
end

-- The text; or nil and the name of the placeholder that is not set.
function M.expand(t, captures, context)
  if t.plain then return t.plain end
  local out = {}
  for i, part in ipairs(t.parts) do
    if type(part) == "table" then
      local v = value_of(part, captures, context)
      if not v then return nil, part.name end
      part = v
    end
    out[i] = part
  end
  return table.concat(out)
end

return M
