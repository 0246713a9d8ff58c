-- python_text.lua - the few habits of Python's str that Airflow's behaviour shows.
--
-- Airflow's names and connection URIs are what Python makes of them: strip() knows
-- Unicode's blanks, rstrip(chars) takes a set of characters, str(0.0) is "0.0", and
-- unquote() turns broken UTF-8 into U+FFFD.  Pure; texts are UTF-8 byte strings, and a
-- byte that is not UTF-8 counts as a character of its own.
--
-- Not here: upper/lower case beyond ASCII.
local M = {}

local BLANKS = {}
for _, code in ipairs { 0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F,
  0x3000 } do
  BLANKS[utf8.char(code)] = true
end
for code = 0x09, 0x0D do BLANKS[utf8.char(code)] = true end
for code = 0x1C, 0x1F do BLANKS[utf8.char(code)] = true end
for code = 0x2000, 0x200A do BLANKS[utf8.char(code)] = true end

-- Where the character that ends at byte `last` starts.
local function char_start(text, last)
  for first = last, math.max(1, last - 3), -1 do
    local byte = text:byte(first)
    if byte < 0x80 or byte > 0xBF then
      return utf8.len(text:sub(first, last)) == 1 and first or last
    end
  end
  return last
end

-- Where the character that starts at byte `first` ends.
local function char_end(text, first)
  if not utf8.len(text, first, first) then return first end
  return first + #utf8.char(utf8.codepoint(text, first)) - 1
end

-- The characters of text as the keys of a table.
local function char_set(text)
  local set, last = {}, #text
  while last > 0 do
    local first = char_start(text, last)
    set[text:sub(first, last)] = true
    last = first - 1
  end
  return set
end

local function drop_trailing(text, set)
  local last = #text
  while last > 0 do
    local first = char_start(text, last)
    if not set[text:sub(first, last)] then break end
    last = first - 1
  end
  return text:sub(1, last)
end

-- text.rstrip(chars): chars is a set of characters, nil means blanks.
function M.rstrip(text, chars)
  return drop_trailing(text, chars and char_set(chars) or BLANKS)
end

-- text.strip()
function M.strip(text)
  text = drop_trailing(text, BLANKS)
  local first = 1
  while first <= #text do
    local last = char_end(text, first)
    if not BLANKS[text:sub(first, last)] then break end
    first = last + 1
  end
  return text:sub(first)
end

-- text[1:]
function M.drop_first(text)
  return text == "" and "" or text:sub(char_end(text, 1) + 1)
end

-- Plain (not pattern) replacement of every `old`, left to right.
function M.replace(text, old, new)
  local out, from = {}, 1
  while true do
    local first, last = text:find(old, from, true)
    if not first then break end
    out[#out + 1] = text:sub(from, first - 1) .. new
    from = last + 1
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out)
end

-- How many times `part` occurs in text, without overlap.
function M.count(text, part)
  local n, from = 0, 1
  while true do
    local first, last = text:find(part, from, true)
    if not first then return n end
    n, from = n + 1, last + 1
  end
end

-- repr(float): the shortest digits that read back as the same number.
local function float_text(x)
  if x ~= x then return "nan" end
  if x == math.huge then return "inf" end
  if x == -math.huge then return "-inf" end
  local shortest
  for digits = 0, 16 do
    shortest = ("%." .. digits .. "e"):format(x)
    if tonumber(shortest) == x then break end
  end
  local sign, lead, rest, exponent = shortest:match("^(%-?)(%d)%.?(%d*)e([+-]%d+)$")
  local digits, point = lead .. rest, tonumber(exponent) + 1
  if point > 16 or point <= -4 then
    local mantissa = rest ~= "" and lead .. "." .. rest or lead
    return ("%s%se%s%02d"):format(sign, mantissa, point > 0 and "+" or "-",
      math.abs(point - 1))
  end
  if point <= 0 then return sign .. "0." .. ("0"):rep(-point) .. digits end
  local zeros = point - #digits
  if zeros >= 0 then return sign .. digits .. ("0"):rep(zeros) .. ".0" end
  return sign .. digits:sub(1, point) .. "." .. digits:sub(point + 1)
end

-- str(value) of a text, number or boolean.
function M.str(value)
  if type(value) == "string" then return value end
  if value == true then return "True" end
  if value == false then return "False" end
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if math.type(value) == "float" then return float_text(value) end
  error("python_text.str: cannot write a " .. type(value), 2)
end

-- The UTF-8 sequences that a lead byte may start: length, and range of the second byte.
local function sequence_of(lead)
  if lead < 0x80 then return 1 end
  if lead >= 0xC2 and lead <= 0xDF then return 2, 0x80, 0xBF end
  if lead == 0xE0 then return 3, 0xA0, 0xBF end
  if lead == 0xED then return 3, 0x80, 0x9F end
  if lead >= 0xE1 and lead <= 0xEF then return 3, 0x80, 0xBF end
  if lead == 0xF0 then return 4, 0x90, 0xBF end
  if lead >= 0xF1 and lead <= 0xF3 then return 4, 0x80, 0xBF end
  if lead == 0xF4 then return 4, 0x80, 0x8F end
end

-- bytes.decode("utf-8", "replace"): each longest broken start becomes one U+FFFD.
function M.decode_utf8(bytes)
  if utf8.len(bytes) then return bytes end
  local out, at = {}, 1
  while at <= #bytes do
    local len, low, high = sequence_of(bytes:byte(at))
    local good = 1
    while len and good < len do
      local byte = bytes:byte(at + good)
      if not byte or byte < low or byte > high then break end
      good, low, high = good + 1, 0x80, 0xBF
    end
    out[#out + 1] = len == good and bytes:sub(at, at + good - 1) or "\u{FFFD}"
    at = at + good
  end
  return table.concat(out)
end

local function from_hex(hex)
  return string.char(tonumber(hex, 16))
end

-- urllib.parse.unquote(text): percent escapes, then UTF-8; only within runs of ASCII.
function M.unquote(text)
  if not text:find("%", 1, true) then return text end
  return (text:gsub("[\0-\x7F]+", function(run)
    if not run:find("%", 1, true) then return nil end
    return M.decode_utf8((run:gsub("%%(%x%x)", from_hex)))
  end))
end

return M
