-- dotenv.lua - read the .env file that users of Astro and Docker write.
--
--   # comment                      a line of its own; blank lines are skipped
--   NAME=value # comment           unquoted: to the end of the line, less blanks around
--                                  it and a comment (blank, then #); a#b keeps its #
--   NAME={"a": "b # c"}            unquoted JSON, one line: # inside its texts is kept
--   export NAME='as it is'         single quotes: nothing inside is special
--   NAME="a \"b\"\nc"              double quotes: \n \r \t \\ \" \' \$ are escapes
--
-- Quoted values may hold newlines (a CRLF in them counts as one).  Blanks around "="
-- are allowed.  "$" is a "$": nothing is expanded.  When a name is there twice the last
-- value wins, with a warning.
--
-- Readers of .env disagree, so what they read differently is an error here rather than
-- a guess: ${NAME} outside single quotes, an escape not listed, text after a closing
-- quote, an unquoted { or [ that does not close on its line, an unquoted value that
-- starts with #, a NUL.
--
-- Pure.  No message holds a value.
local M = {}

local ESCAPES = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ['"'] = '"', ["'"] = "'",
  ["$"] = "$" }

local EXPANSION = "${...} is not expanded: single quotes keep a value as it is"

-- Raised inside, made "file:line: reason" by parse.
local function fail(state, reason, ...)
  error({ dotenv = true, line = state.line, reason = reason:format(...) }, 0)
end

-- What follows a closing quote: nothing, or a comment.
local function check_rest(state, rest)
  if not rest:find("^[ \t]*$") and not rest:find("^[ \t]+#") then
    fail(state, "something follows the closing quote of %s", state.name)
  end
end

-- The text up to the line's end, and where the next line starts.
local function take_line(text, at)
  local stop = text:find("\n", at, true) or #text + 1
  return text:sub(at, stop - 1), stop + 1
end

local function read_single(state, text, at)
  local close = text:find("'", at, true)
  if not close then fail(state, "the single quote of %s is not closed", state.name) end
  local rest, next_at = take_line(text, close + 1)
  check_rest(state, rest)
  return text:sub(at, close - 1), next_at
end

local function read_escape(state, text, at)
  local char = text:sub(at + 1, at + 1)
  if not ESCAPES[char] then
    fail(state, "a backslash in the double quotes of %s starts no known escape: write "
      .. "\\\\, or use single quotes", state.name)
  end
  return ESCAPES[char]
end

local function read_double(state, text, at)
  local out = {}
  while true do
    local stop = text:find('["\\]', at)
    if not stop then fail(state, "the double quote of %s is not closed", state.name) end
    local part = text:sub(at, stop - 1)
    if part:find("${", 1, true) then fail(state, EXPANSION) end
    out[#out + 1] = part
    at = stop + 1
    if text:sub(stop, stop) == '"' then break end
    out[#out + 1] = read_escape(state, text, stop)
    at = stop + 2
  end
  local rest, next_at = take_line(text, at)
  check_rest(state, rest)
  return table.concat(out), next_at
end

local DEPTH = { ["{"] = 1, ["["] = 1, ["}"] = -1, ["]"] = -1 }

-- Where the bracket that opens a value is closed; texts in double quotes are stepped
-- over.
local function json_end(value)
  local depth, at = 0, 1
  while true do
    at = value:find('["%[%]{}]', at)
    if not at then return nil end
    local char = value:sub(at, at)
    if char == '"' then
      at = value:match('^"()', at)
      while value:find("^\\.", at) or value:find('^[^"\\]', at) do
        at = value:sub(at, at) == "\\" and at + 2 or at + 1
      end
      if at > #value then return nil end
    else
      depth = depth + DEPTH[char]
      if depth == 0 then return at end
    end
    at = at + 1
  end
end

local function read_unquoted(state, text, at)
  local value, next_at = take_line(text, at)
  local search_from = 1
  if value:find("^#") then
    fail(state, "the value of %s starts with '#': quote it, or leave the value empty "
      .. "and put the comment on a line of its own", state.name)
  end
  if value:find("^[{%[]") then
    local stop = json_end(value)
    if not stop then
      fail(state, "the value of %s opens a bracket that does not close on this line: "
        .. "JSON over several lines needs single quotes around it", state.name)
    end
    search_from = stop + 1
  end
  local comment = value:find("[ \t]+#", search_from)
  if comment then value = value:sub(1, comment - 1) end
  if value:find("${", 1, true) then fail(state, EXPANSION) end
  return value:match("^(.-)[ \t]*$"), next_at
end

-- One "NAME = value" at `at`; name, value, where the next line starts.
local function read_entry(state, text, at)
  local line = take_line(text, at)
  local head = line:match("^[ \t]*export[ \t]+()") or line:match("^[ \t]*()")
  local name, past = line:match("^([%a_][%w_.-]*)[ \t]*=[ \t]*()", head)
  if not name then
    if not line:find("=", 1, true) then fail(state, "there is no '=' in this line") end
    fail(state, "a name (letters, digits, '_', '.', '-') is needed before '='")
  end
  state.name = name
  local start = at + past - 1
  local quote = text:sub(start, start)
  local read = quote == "'" and read_single or quote == '"' and read_double
  local value, next_at
  if read then
    value, next_at = read(state, text, start + 1)
  else
    value, next_at = read_unquoted(state, text, start)
  end
  return name, value, next_at
end

local function count_lines(text, from, to)
  return select(2, text:sub(from, to - 1):gsub("\n", ""))
end

local function add(state, name, value)
  local entry = { name = name, value = value, line = state.line }
  local slot = state.slots[name]
  if slot then
    state.warnings[#state.warnings + 1] = ("%s:%d: %s is there twice: this value wins "
      .. "over that of line %d"):format(state.file, state.line, name,
      state.entries[slot].line)
  end
  slot = slot or #state.entries + 1
  state.slots[name], state.entries[slot] = slot, entry
end

local function read_all(state, text)
  local at = 1
  while at <= #text do
    local line, next_at = take_line(text, at)
    if not line:find("^[ \t]*$") and not line:find("^[ \t]*#") then
      local name, value
      name, value, next_at = read_entry(state, text, at)
      add(state, name, value)
    end
    state.line = state.line + count_lines(text, at, next_at)
    at = next_at
  end
end

-- text -> array of { name, value, line } in the order of first appearance, and an array
-- of warnings; or nil, "file:line: reason".
function M.parse(text, file)
  local state = { file = file or ".env", line = 1,
    entries = {}, slots = {}, warnings = {} }
  text = text:gsub("^\u{FEFF}", ""):gsub("\r\n", "\n"):gsub("\r$", "")
  local nul = text:find("\0", 1, true)
  if nul then
    return nil, ("%s:%d: a NUL byte: is this a text file?"):format(state.file,
      1 + count_lines(text, 1, nul))
  end
  local fine, raised = pcall(read_all, state, text)
  if fine then return state.entries, state.warnings end
  if type(raised) ~= "table" or not raised.dotenv then error(raised, 0) end
  return nil, ("%s:%d: %s"):format(state.file, raised.line, raised.reason)
end

return M
