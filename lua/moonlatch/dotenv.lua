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
-- value wins, with a warning.  A line that is a name alone stands, as for Docker, for the
-- variable of the process: it is skipped.
--
-- Readers of .env disagree, so what they read differently is a mistake here rather than
-- a guess: ${NAME} outside single quotes, an escape not listed, text after a closing
-- quote, an unquoted { or [ that does not close on its line, an unquoted value that
-- starts with #.  A mistake costs its own variable only: reading goes on with the next
-- line, and the caller decides whether it can do without (is_needed).
--
-- Pure.  No message holds a value.
local M = {}

local ESCAPES = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", ['"'] = '"', ["'"] = "'",
  ["$"] = "$" }

local EXPANSION = "the value of %s: ${...} is not expanded: single quotes keep it as it is"

-- What decides where secrets come from: a mistake in one of these must stop the run.
local NEEDED = { "^AIRFLOW__SECRETS__", "^AZURE_", "^MOONLATCH_", "^SSL_CERT_",
  "^[%a]+_PROXY$", "^[%a]+_proxy$" }

-- Raised inside; the line is skipped, parse tells as "file:line: reason".
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
    if part:find("${", 1, true) then fail(state, EXPANSION, state.name) end
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
  if value:find("${", 1, true) then fail(state, EXPANSION, state.name) end
  return value:match("^(.-)[ \t]*$"), next_at
end

-- One "NAME = value" at `at`; name, value, where the next line starts.
local function read_entry(state, text, at)
  local line = take_line(text, at)
  local head = line:match("^[ \t]*export[ \t]+()") or line:match("^[ \t]*()")
  state.name = line:match("^[%a_][%w_.-]*", head) -- if only for is_needed
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

local function is_skipped(line)
  return line:find("^[ \t]*$") or line:find("^[ \t]*#")
    or line:find("^[ \t]*[%a_][%w_.-]*[ \t]*$")
    or line:find("^[ \t]*export[ \t]+[%a_][%w_.-]*[ \t]*$")
end

-- The variable's last line cannot be read: an earlier value is not what was meant.
local function add_broken(state, raised)
  state.broken[#state.broken + 1] = { name = state.name, line = raised.line,
    text = ("%s:%d: %s"):format(state.file, raised.line, raised.reason) }
  local slot = state.slots[state.name]
  if slot then
    state.entries[slot].value = nil
    state.slots[state.name] = nil
  end
end

local function read_line(state, text, at, after)
  state.name = nil
  local fine, name, value, next_at = pcall(read_entry, state, text, at)
  if fine then
    add(state, name, value)
    return next_at
  end
  if type(name) ~= "table" or not name.dotenv then error(name, 0) end
  add_broken(state, name)
  return after
end

local function read_all(state, text)
  local at = 1
  while at <= #text do
    local line, next_at = take_line(text, at)
    if not is_skipped(line) then next_at = read_line(state, text, at, next_at) end
    state.line = state.line + count_lines(text, at, next_at)
    at = next_at
  end
end

local function with_value(entries)
  local kept = {}
  for _, entry in ipairs(entries) do
    if entry.value then kept[#kept + 1] = entry end
  end
  return kept
end

-- text -> three arrays: { name, value, line } in the order of first appearance; warnings;
-- and what cannot be read, { name (nil when there is none), line, text = "file:line:
-- reason" }.  Or nil, "file:line: reason" when this is no text at all.
function M.parse(text, file)
  local state = { file = file or ".env", line = 1,
    entries = {}, slots = {}, warnings = {}, broken = {} }
  text = text:gsub("^\u{FEFF}", ""):gsub("\r\n", "\n"):gsub("\r$", "")
  local nul = text:find("\0", 1, true)
  if nul then
    return nil, ("%s:%d: a NUL byte: is this a text file?"):format(state.file,
      1 + count_lines(text, 1, nul))
  end
  read_all(state, text)
  return with_value(state.entries), state.warnings, state.broken
end

-- Does this program itself read the variable?
function M.is_needed(name)
  for _, pattern in ipairs(NEEDED) do
    if name and name:find(pattern) then return true end
  end
  return false
end

return M
