-- compare.lua - asks our Lua what the Python oracle was asked, and prints where they
-- differ.
--
--   lua5.4 compare.lua names|connections FILE COUNT     FILE: the oracle's JSON lines
--
-- Exit status 1 when any answer differs or FILE does not hold COUNT cases.
local cjson = require "cjson"

local MAX_SHOWN = 20
local FIELDS = { "conn_type", "host", "login", "password", "schema", "port", "extra" }

local checks = {}

function checks.names(case)
  local names = require "moonlatch.airflow_names"
  local prefix = case.prefix
  if case.whole then prefix = math.tointeger(prefix) end
  prefix = names.strip_prefix(prefix, case.sep)
  local name = names.build_path(prefix, case.id, case.sep)
  if name ~= case.name then return ("our name: %q"):format(name) end
end

-- Absent and JSON null are the same.
local function given(value)
  if value == cjson.null then return nil end
  return value
end

function checks.connections(case)
  local connection = require "moonlatch.connection"
  local conn, reason = connection.parse(case.uri)
  if case.error then return conn and "ours is accepted" or nil end
  if not conn then return "ours is refused: " .. reason end
  for _, field in ipairs(FIELDS) do
    if given(case.conn[field]) ~= conn[field] then
      return ("our %s: %q"):format(field, tostring(conn[field]))
    end
  end
end

local function main(what, path, wanted)
  local check, count, wrong = checks[what], 0, 0
  for line in io.lines(path) do
    count = count + 1
    local difference = check(cjson.decode(line))
    if difference then
      wrong = wrong + 1
      if wrong <= MAX_SHOWN then print(line .. "\n    " .. difference) end
    end
  end
  print(("%s: %d cases, %d differ"):format(what, count, wrong))
  return wrong == 0 and count == tonumber(wanted)
end

os.exit(main(arg[1], arg[2], arg[3]))
