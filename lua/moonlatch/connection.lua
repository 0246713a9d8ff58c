-- connection.lua - read a stored Airflow connection as Airflow does.
--
--   {"conn_type": "postgres", "host": "db", ...}   JSON, when "{" comes first
--   postgres://user:password@host:5432/schema?a=b  else a URI
--
-- A connection is a table of conn_type, description, host, login, password, schema,
-- port, extra: texts (port a number), absent where Airflow has None.  extra is JSON
-- text as json.dumps writes it.  Where Airflow's two readers differ this follows the
-- task SDK (port 0 and an empty password are kept, a port is a whole number), and the
-- server in that extra must be a JSON object wherever it comes from.
--
-- Airflow's own messages contain the whole URI.  Here no message quotes any part of a
-- value, not even a field's name.
--
-- Pure: texts in, tables out.
local python = require "moonlatch.python_text"
local json = require "moonlatch.json_text"
local urlsplit = require "moonlatch.urlsplit"

local M = {}

-- The order in which fields are written.
M.FIELDS = { "conn_type", "description", "host", "login", "password", "schema", "port",
  "extra" }

M.HIDDEN = "***"

local is_field = { uri = true }
for _, name in ipairs(M.FIELDS) do is_field[name] = true end

local QUOTE_HINT = "; in a user or password # / ? % are written %23 %2F %3F %25"

local function conn_type_of(text)
  if text == "postgresql" then return "postgres" end
  return (text:gsub("-", "_"))
end

local function is_object(text)
  local node = json.read(text)
  return node ~= nil and node.kind == "object"
end

-- ---- URI ------------------------------------------------------------------------

-- The host, with its case kept when it is an escaped path such as %2Ftmp%2Fsock.
local function host_of(parts)
  local host = python.unquote(parts.hostname or "")
  if not host:find("/", 1, true) then return host end
  return python.unquote(parts.netloc:match("[^@]*$"):match("^[^:]*"))
end

local function extra_of(query)
  local order, values = {}, {}
  for _, pair in ipairs(urlsplit.query(query)) do
    if values[pair[1]] == nil then order[#order + 1] = pair[1] end
    values[pair[1]] = pair[2]
  end
  if values.__extra__ then return values.__extra__ end
  for i, key in ipairs(order) do
    order[i] = json.quote(key) .. ": " .. json.quote(values[key])
  end
  return "{" .. table.concat(order, ", ") .. "}"
end

-- The part behind the connection type, and the parts of that.  Airflow replaces every
-- "type://" of the text, not just the first.
local function take_apart(uri)
  local marks = python.count(uri, "://")
  if marks > 2 then return nil, 'the URI has "://" more than twice' end
  local parts, reason = urlsplit.split(uri)
  if not parts then return nil, reason end
  local conn_type = parts.scheme
  local rest = python.replace(uri, conn_type .. "://", marks == 2 and "" or "//")
  if marks == 2 and (rest:match("^(.-)://") or rest):find("[@:]") then
    return nil, 'the URI has a second "://" that no protocol of the host precedes'
  end
  parts, reason = urlsplit.split(rest)
  if not parts then return nil, reason end
  local protocol = marks == 2 and parts.scheme or ""
  return { type = conn_type, parts = parts, protocol = protocol }
end

local function unquote_or_nil(text)
  return text and python.unquote(text)
end

local function from_uri(uri)
  local apart, reason = take_apart(uri)
  if not apart then return nil, reason end
  local parts = apart.parts
  local port, bad_port = urlsplit.port(parts)
  if bad_port then return nil, bad_port .. QUOTE_HINT end
  local host = host_of(parts)
  if host ~= "" and apart.protocol ~= "" then host = apart.protocol .. "://" .. host end
  local extra = parts.query ~= "" and extra_of(parts.query) or nil
  if extra and extra ~= "" and not is_object(extra) then
    return nil, "__extra__ is not a JSON object"
  end
  return {
    conn_type = conn_type_of(apart.type), host = host,
    schema = python.unquote(python.drop_first(parts.path)),
    login = unquote_or_nil(parts.username), password = unquote_or_nil(parts.password),
    port = port, extra = extra,
  }
end

-- ---- JSON -----------------------------------------------------------------------

local function at(node, reason, ...)
  local place = ("line %d, column %d: "):format(node.line, node.column)
  return nil, place .. reason:format(...)
end

-- What Python holds for false.
local function is_falsy(node)
  local value = node.value
  return node.kind == "null" or value == false or value == "" or value == 0
    or type(value) == "table" and #value == 0
end

-- int("5_432 ") -> 5432
local function int_of(text)
  text = python.strip(text):gsub("(%d)_%f[%d]", "%1")
  local sign, digits = text:match("^([+-]?)(%d+)$")
  return digits and math.tointeger(tonumber(sign .. "0" .. digits) or 0)
end

local READERS = {}

function READERS.port(node)
  if node.kind == "null" or node.value == "" then return nil end
  local port
  if node.kind == "string" then port = int_of(node.value) end
  if math.type(node.value) == "integer" then port = node.value end
  if not port then return at(node, "port is not a whole number") end
  if port < 0 or port > 65535 then return at(node, "port is not in 0 to 65535") end
  return port
end

function READERS.extra(node)
  if is_falsy(node) then return nil end
  local text = node.kind == "string" and node.value or node.text
  if is_object(text) then return text end
  return at(node, "extra is not a JSON object, nor a text that holds one")
end

function READERS.conn_type(node)
  if is_falsy(node) then return nil end
  if node.kind ~= "string" then return at(node, "conn_type is not a text") end
  return conn_type_of(node.value)
end

local function read_plain(node, name)
  if node.kind == "object" or node.kind == "array" then
    return at(node, "%s is not a text", name)
  end
  return node.value
end

-- The fields by name; uri stays a node.
local function read_fields(object)
  local conn = {}
  for _, field in ipairs(object.value) do
    local node, name = field.node, field.key
    if not is_field[name] then
      return at(field.name, "a connection has no such field; it has %s",
        table.concat(M.FIELDS, ", ") .. ", or uri alone")
    end
    local read, value, reason = READERS[name] or read_plain
    if name == "uri" then value = not is_falsy(node) and node or nil
    else value, reason = read(node, name) end
    if reason then return nil, reason end
    conn[name] = value
  end
  return conn
end

local function from_uri_field(conn)
  local node, description = conn.uri, conn.description
  conn.uri, conn.description = nil, nil
  if next(conn) ~= nil then return at(node, "uri stands beside other fields") end
  if node.kind ~= "string" then return at(node, "uri is not a text") end
  local reason
  conn, reason = from_uri(node.value)
  if not conn then return at(node, "uri: %s", reason) end
  conn.description = description
  return conn
end

local function from_json(text)
  local object, reason = json.read(text)
  if not object then return nil, reason end
  local conn
  conn, reason = read_fields(object)
  if not conn then return nil, reason end
  if conn.uri then return from_uri_field(conn) end
  return conn
end

-- ---- the module's face ----------------------------------------------------------

-- The connection in a stored value, or nil and the reason.
function M.parse(value)
  if not utf8.len(value) then return nil, "the connection is not UTF-8 text" end
  if value == "" then return nil, "the value is empty: Airflow calls that missing" end
  local text = python.strip(value)
  if text == "" then return nil, "the value holds only blanks: Airflow fails on it" end
  local conn, reason
  if text:sub(1, 1) == "{" then
    conn, reason = from_json(text)
  else
    conn, reason = from_uri(text)
  end
  if not conn then return nil, "not a connection: " .. reason end
  return conn
end

-- A copy for output: password and extra are "***" unless reveal.  A URI whose type was
-- not recognised may be a bare password: then host, login and schema are hidden too.
function M.redacted(conn, reveal)
  local shown = {}
  for _, name in ipairs(M.FIELDS) do shown[name] = conn[name] end
  if reveal then return shown end
  local hidden = { "password", "extra" }
  if conn.conn_type == "" then
    hidden = { "password", "extra", "host", "login", "schema" }
  end
  for _, name in ipairs(hidden) do
    if shown[name] ~= nil and shown[name] ~= "" then shown[name] = M.HIDDEN end
  end
  return shown
end

-- The same as one line of JSON: fields in the order of M.FIELDS, null where Airflow has
-- None.
function M.to_json(conn, reveal)
  local shown, out = M.redacted(conn, reveal), {}
  for i, name in ipairs(M.FIELDS) do
    local value, text = shown[name], "null"
    if type(value) == "string" then text = json.quote(value)
    elseif type(value) == "boolean" then text = tostring(value)
    elseif value ~= nil then text = python.str(value) end
    out[i] = json.quote(name) .. ": " .. text
  end
  return "{" .. table.concat(out, ", ") .. "}"
end

return M
