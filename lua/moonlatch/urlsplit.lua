-- urlsplit.lua - take a URL apart as Python's urllib.parse does (3.11.4 and later).
--
--   scheme://user:password@host:port/path?query#fragment
--
-- The ways in which that differs from other parsers are the point: a scheme has no
-- underscore, the user ends at the last "@", the host is lower-cased up to its first
-- "%", and the port is checked only when it is asked for.  Pure; no message quotes the
-- URL.
--
-- Lower-casing is ASCII only.
local python = require "moonlatch.python_text"

local M = {}

-- Characters that Unicode's compatibility forms turn into one of / ? # @ :
local DISGUISED = {}
for _, code in ipairs {
  0x2047, 0x2048, 0x2049, 0x2100, 0x2101, 0x2105, 0x2106, 0x2A74, 0xFE13, 0xFE16,
  0xFE55, 0xFE56, 0xFE5F, 0xFE6B, 0xFF03, 0xFF0F, 0xFF1A, 0xFF1F, 0xFF20,
} do
  DISGUISED[code] = true
end

local function is_ipv4(text)
  local parts = { text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for _, part in ipairs(parts) do
    if tonumber(part) > 255 or part:find("^0%d") then return false end
  end
  return #parts == 4
end

-- Groups of up to four hex digits between colons; nil when something else is there.
local function count_groups(text)
  if text == "" then return 0 end
  local n = 0
  for group in (text .. ":"):gmatch("([^:]*):") do
    if not group:find("^%x%x?%x?%x?$") then return nil end
    n = n + 1
  end
  return n
end

-- ipaddress.IPv6Address accepts it: eight groups, or fewer around one "::", the last
-- two perhaps in IPv4's form, a zone after "%".
local function is_ipv6(text)
  local address, zone = text:match("^([^%%]*)%%?(.*)$")
  local marks = python.count(text, "%")
  if marks > 1 or (marks == 1 and zone == "") then return false end
  local tail = address:match("[^:]*$")
  if tail:find(".", 1, true) then
    if not is_ipv4(tail) then return false end
    address = address:sub(1, #address - #tail) .. "0:0"
  end
  local left, right = address:match("^(.-)::(.*)$")
  if not left then return count_groups(address) == 8 end
  local before, after = count_groups(left), count_groups(right)
  return before ~= nil and after ~= nil and before + after <= 7
end

local function check_brackets(netloc)
  local open, close = netloc:find("[", 1, true), netloc:find("]", 1, true)
  if not open and not close then return true end
  if not open or not close then
    return nil, "a square bracket of the host has no partner"
  end
  local host = netloc:match("%[(.*)"):match("^[^%]]*")
  if is_ipv6(host) or host:find("^v%x+%..") then return true end
  return nil, "what stands in square brackets is not an IPv6 address"
end

local function check_netloc(netloc)
  local fine, reason = check_brackets(netloc)
  if not fine then return nil, reason end
  for _, code in utf8.codes(netloc, true) do
    if DISGUISED[code] then
      return nil, "the host part has a character that stands for one of / ? # @ :"
    end
  end
  return true
end

-- "a@b@c", "@" -> "a@b", "c"; without the mark nil and the whole.
local function split_last(text, mark)
  local before, after = text:match("^(.*)" .. mark .. "([^" .. mark .. "]*)$")
  if before then return before, after end
  return nil, text
end

local function read_user(parts, userinfo)
  if not userinfo then return end
  local colon = userinfo:find(":", 1, true)
  parts.username = userinfo:sub(1, (colon or 0) - 1)
  parts.password = colon and userinfo:sub(colon + 1)
end

local function read_host(parts, hostinfo)
  local open = hostinfo:find("[", 1, true)
  local host, port
  if open then
    local close = hostinfo:find("]", open, true) or #hostinfo + 1
    host = hostinfo:sub(open + 1, close - 1)
    port = hostinfo:sub(close + 1):match("^[^:]*:(.*)$")
  else
    host, port = hostinfo:match("^([^:]*):?(.*)$")
  end
  local upper = host:match("^[^%%]*")
  parts.hostname = host ~= "" and upper:lower() .. host:sub(#upper + 1) or nil
  parts.port_text = port ~= "" and port or nil
end

-- parts.port as a number, nil when there is none; nil and a reason when it is not one.
function M.port(parts)
  local text = parts.port_text
  if not text then return nil end
  if not text:find("^%d+$") then return nil, "the port is not a number" end
  local digits = text:match("^0*(.*)$")
  if #digits > 5 or (tonumber(digits) or 0) > 65535 then
    return nil, "the port is above 65535"
  end
  return tonumber(digits) or 0
end

local function split_scheme(url)
  local scheme, rest = url:match("^(%a[%w+.-]*):(.*)$")
  if scheme then return scheme:lower(), rest end
  return "", url
end

-- "before<mark>after" at the first mark; after is "" without one.
local function split_first(text, mark)
  local at = text:find(mark, 1, true)
  if not at then return text, "" end
  return text:sub(1, at - 1), text:sub(at + 1)
end

-- { scheme, netloc, path, query, username, password, hostname, port_text }: texts; the
-- last four are nil when they are not there.  Or nil and a reason.
function M.split(url)
  url = url:gsub("^[\0- ]+", ""):gsub("[\t\r\n]", "")
  local parts = { netloc = "" }
  local rest
  parts.scheme, rest = split_scheme(url)
  if rest:sub(1, 2) == "//" then
    parts.netloc, rest = rest:match("^//([^/?#]*)(.*)$")
  end
  local fine, reason = check_netloc(parts.netloc)
  if not fine then return nil, reason end
  rest = split_first(rest, "#")
  parts.path, parts.query = split_first(rest, "?")
  local userinfo, hostinfo = split_last(parts.netloc, "@")
  read_user(parts, userinfo)
  read_host(parts, hostinfo)
  return parts
end

local function plus_to_blank(text)
  return (text:gsub("%+", " "))
end

-- parse_qsl(query, keep_blank_values=True): an array of { key, value }.
function M.query(query)
  local pairs_found = {}
  for item in (query .. "&"):gmatch("([^&]*)&") do
    if item ~= "" then
      local key, value = split_first(item, "=")
      pairs_found[#pairs_found + 1] = {
        python.unquote(plus_to_blank(key)), python.unquote(plus_to_blank(value)),
      }
    end
  end
  return pairs_found
end

return M
