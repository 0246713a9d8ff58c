-- json_text.lua - read JSON as Python's json.loads does, and keep what json.dumps would
-- write for every part.
--
-- A node is { kind = "object"|"array"|"string"|"number"|"boolean"|"null", value =, text
-- =, line =, column = }.  text is json.dumps of the node: order of keys kept, the last
-- of equal keys wins, ASCII only.  An object's value is an array of { key =, node = }.
--
-- lua-cjson does not serve here: it loses the order of keys, and messages of ours say
-- where something is wrong without quoting what is there.
local python = require "moonlatch.python_text"

local M = {}

local MAX_DEPTH = 200
local SHORT = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t", ["\b"] = "\\b", ["\f"] = "\\f" }
local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t" }
local WORDS = {
  { "true", "boolean", true }, { "false", "boolean", false }, { "null", "null", nil },
  { "NaN", "number", 0 / 0 }, { "Infinity", "number", math.huge },
  { "-Infinity", "number", -math.huge },
}

local function line_and_column(text, at)
  local before = text:sub(1, at - 1)
  local line = select(2, before:gsub("\n", "")) + 1
  local last = before:match("[^\n]*$")
  return line, (utf8.len(last) or #last) + 1
end

local function fail(state, at, reason)
  local line, column = line_and_column(state.text, at)
  error({ json = ("line %d, column %d: %s"):format(line, column, reason) }, 0)
end

local function skip_blanks(state)
  state.at = state.text:find("[^ \t\r\n]", state.at) or #state.text + 1
end

local function node_at(state, at, kind, value, text)
  local line, column = line_and_column(state.text, at)
  return { kind = kind, value = value, text = text, line = line, column = column }
end

local function escape_code(code)
  if code < 0x10000 then return ("\\u%04x"):format(code) end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
end

-- json.dumps of a text.
function M.quote(text)
  local out = {}
  for _, code in utf8.codes(text, true) do
    local char = utf8.char(code)
    out[#out + 1] = SHORT[char] or code >= 0x20 and code < 0x7F and char
      or escape_code(code)
  end
  return '"' .. table.concat(out) .. '"'
end

-- The code of \uXXXX at `at` (its backslash), or nil.
local function unicode_escape(text, at)
  local hex = text:match("^\\u(%x%x%x%x)", at)
  return hex and tonumber(hex, 16)
end

-- One escape at state.at; two make a character beyond the basic plane.
local function read_escape(state)
  local text, at = state.text, state.at
  local short = ESCAPES[text:sub(at + 1, at + 1)]
  if short then
    state.at = at + 2
    return short
  end
  local code = unicode_escape(text, at)
  if not code then fail(state, at, "not an escape that JSON knows") end
  state.at = at + 6
  local low = code >= 0xD800 and code <= 0xDBFF and unicode_escape(text, at + 6)
  if low and low >= 0xDC00 and low <= 0xDFFF then
    state.at = at + 12
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
  end
  return utf8.char(code)
end

local function read_string(state)
  local start, out = state.at, {}
  state.at = start + 1
  while true do
    local first, last = state.text:find('^[^"\\\0-\x1F]+', state.at)
    if first then
      out[#out + 1] = state.text:sub(first, last)
      state.at = last + 1
    end
    local char = state.text:sub(state.at, state.at)
    if char == '"' then break end
    if char == "" then fail(state, start, "a text that does not end") end
    if char ~= "\\" then fail(state, state.at, "a raw control character in a text") end
    out[#out + 1] = read_escape(state)
  end
  state.at = state.at + 1
  local value = table.concat(out)
  return node_at(state, start, "string", value, M.quote(value))
end

-- Integers keep their digits however long they are; all else is a float.
local function read_number(state)
  local start = state.at
  local whole = state.text:match("^%-?0", start)
    or state.text:match("^%-?[1-9]%d*", start)
  if not whole then fail(state, start, "a value is missing here") end
  local after = start + #whole
  local fraction = state.text:match("^%.%d+", after) or ""
  local exponent = state.text:match("^[eE][+-]?%d+", after + #fraction) or ""
  state.at = after + #fraction + #exponent
  local number = tonumber(whole .. fraction .. exponent)
  if fraction .. exponent == "" then
    return node_at(state, start, "number", number, whole == "-0" and "0" or whole)
  end
  local text = python.str(number + 0.0)
  return node_at(state, start, "number", number + 0.0, text == "inf" and "Infinity"
    or text == "-inf" and "-Infinity" or text)
end

local function read_word(state)
  for _, word in ipairs(WORDS) do
    if state.text:sub(state.at, state.at + #word[1] - 1) == word[1] then
      state.at = state.at + #word[1]
      return node_at(state, state.at - #word[1], word[2], word[3], word[1])
    end
  end
end

local read_value

-- What follows an item: true for another one, false for the end.
local function another(state, close, what)
  skip_blanks(state)
  local char = state.text:sub(state.at, state.at)
  if char ~= "," and char ~= close then
    fail(state, state.at, ("a comma or the end of the %s is missing here"):format(what))
  end
  state.at = state.at + 1
  skip_blanks(state)
  return char == ","
end

-- Steps over the bracket; true when the next thing closes it.
local function is_empty(state, close)
  state.at = state.at + 1
  skip_blanks(state)
  if state.text:sub(state.at, state.at) ~= close then return false end
  state.at = state.at + 1
  return true
end

local function read_array(state, depth)
  local start, nodes, texts = state.at, {}, {}
  local more = not is_empty(state, "]")
  while more do
    nodes[#nodes + 1] = read_value(state, depth)
    texts[#texts + 1] = nodes[#nodes].text
    more = another(state, "]", "list")
  end
  return node_at(state, start, "array", nodes, "[" .. table.concat(texts, ", ") .. "]")
end

local function read_field(state, depth)
  if state.text:sub(state.at, state.at) ~= '"' then
    fail(state, state.at, "a field's name in double quotes is missing here")
  end
  local key = read_string(state)
  skip_blanks(state)
  if state.text:sub(state.at, state.at) ~= ":" then
    fail(state, state.at, "a colon is missing here")
  end
  state.at = state.at + 1
  skip_blanks(state)
  return { key = key.value, name = key, node = read_value(state, depth) }
end

local function read_object(state, depth)
  local start, fields, at_key, texts = state.at, {}, {}, {}
  local more = not is_empty(state, "}")
  while more do
    local field = read_field(state, depth)
    local slot = at_key[field.key] or #fields + 1
    at_key[field.key], fields[slot] = slot, field
    texts[slot] = field.name.text .. ": " .. field.node.text
    more = another(state, "}", "object")
  end
  local text = "{" .. table.concat(texts, ", ") .. "}"
  return node_at(state, start, "object", fields, text)
end

function read_value(state, depth)
  if depth > MAX_DEPTH then fail(state, state.at, "nested too deep") end
  local char = state.text:sub(state.at, state.at)
  if char == "{" then return read_object(state, depth + 1) end
  if char == "[" then return read_array(state, depth + 1) end
  if char == '"' then return read_string(state) end
  return read_word(state) or read_number(state)
end

local function read_all(state)
  skip_blanks(state)
  local node = read_value(state, 1)
  skip_blanks(state)
  if state.at <= #state.text then
    fail(state, state.at, "something follows the JSON")
  end
  return node
end

-- The node of the whole text, or nil and "line L, column C: reason", which never quotes
-- the text.
function M.read(text)
  if not utf8.len(text) then return nil, "line 1, column 1: the text is not UTF-8" end
  local fine, result = pcall(read_all, { text = text, at = 1 })
  if fine then return result end
  if type(result) == "table" and result.json then return nil, result.json end
  error(result, 0)
end

return M
