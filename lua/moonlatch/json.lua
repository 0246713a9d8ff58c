-- json.lua - JSON with the members in the order in which they were written, so that
-- explain's output is the same every time.  Scalars are lua-cjson's.
local cjson = require "cjson"

local M = {}

local meta = {}

-- object("name", value, ...): members whose value is nil are left out.
function M.object(...)
  local o = setmetatable({ n = 0 }, meta)
  for i = 1, select("#", ...), 2 do
    local name, value = select(i, ...)
    if value ~= nil then
      o.n = o.n + 1
      o[o.n] = { name, value }
    end
  end
  return o
end

-- Text that is not UTF-8, also one that was cut in a letter, loses its odd bytes.
local function scalar(v)
  if type(v) == "string" and not utf8.len(v) then v = v:gsub("[\x80-\xff]", "?") end
  return (cjson.encode(v):gsub("\\/", "/"))
end

-- An object(), an array of values, or a scalar.
function M.encode(v)
  if type(v) ~= "table" then return scalar(v) end
  local out = {}
  if getmetatable(v) == meta then
    for i = 1, v.n do out[i] = scalar(v[i][1]) .. ":" .. M.encode(v[i][2]) end
    return "{" .. table.concat(out, ",") .. "}"
  end
  for i, item in ipairs(v) do out[i] = M.encode(item) end
  return "[" .. table.concat(out, ",") .. "]"
end

return M
