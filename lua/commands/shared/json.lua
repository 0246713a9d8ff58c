-- json: writing JSON in the order the author chose; any byte string is made safe.
local M = {}

local object_mt = { __name = "json.object" }
local array_mt = { __name = "json.array" }

-- M.object { {"name", "x"}, {"version", nil} }: pairs in order, nil values left out.
function M.object(pairs_list)
    return setmetatable(pairs_list, object_mt)
end

function M.array(items)
    return setmetatable(items, array_mt)
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
                  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
end

-- Text that is not UTF-8 loses its odd bytes: callers send bytes as base64 instead.
local function quote(text)
    if not utf8.len(text) then text = text:gsub("[\x80-\xff]", "?") end
    return '"' .. text:gsub('[%c"\\\x7f]', escape) .. '"'
end

local encode

local function encode_object(value, out, indent)
    local inner = indent .. "  "
    local first = true
    out[#out + 1] = "{"
    for i = 1, #value do
        local name, item = value[i][1], value[i][2]
        if item ~= nil then
            out[#out + 1] = (first and "\n" or ",\n") .. inner .. quote(name) .. ": "
            encode(item, out, inner)
            first = false
        end
    end
    out[#out + 1] = first and "}" or "\n" .. indent .. "}"
end

local function encode_array(value, out, indent)
    local inner = indent .. "  "
    out[#out + 1] = "["
    for i, item in ipairs(value) do
        out[#out + 1] = (i == 1 and "\n" or ",\n") .. inner
        encode(item, out, inner)
    end
    out[#out + 1] = #value == 0 and "]" or "\n" .. indent .. "]"
end

-- A plain table is an object with its names sorted.
local function sorted(value)
    local names, list = {}, {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for i, name in ipairs(names) do list[i] = { tostring(name), value[name] } end
    return list
end

function encode(value, out, indent)
    local kind, mt = type(value), getmetatable(value)
    if kind == "string" then
        out[#out + 1] = quote(value)
    elseif kind == "number" or kind == "boolean" then
        out[#out + 1] = tostring(value)
    elseif mt == array_mt then
        encode_array(value, out, indent)
    elseif mt == object_mt then
        encode_object(value, out, indent)
    elseif kind == "table" then
        encode_object(sorted(value), out, indent)
    else
        out[#out + 1] = "null"
    end
end

-- Several lines, two blanks a level.
function M.encode(value)
    local out = {}
    encode(value, out, "")
    return table.concat(out)
end

-- One line: for logs, one object each.
function M.line(value)
    return (M.encode(value):gsub("\n *", " "))
end

local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function M.base64(bytes)
    local out = {}
    for i = 1, #bytes, 3 do
        local a, b, c = bytes:byte(i, i + 2)
        local n = a << 16 | (b or 0) << 8 | (c or 0)
        for shift = 18, 0, -6 do
            local at = (n >> shift & 63) + 1
            out[#out + 1] = digits:sub(at, at)
        end
        if not c then out[#out] = "=" end
        if not b then out[#out - 1] = "=" end
    end
    return table.concat(out)
end

return M
