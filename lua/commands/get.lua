-- get: the value on stdout, byte-exact, and nothing else.
local flags = require "moonlatch.commands.shared.flags"
local json = require "moonlatch.commands.shared.json"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    flags.add_json(p, "with metadata; of a connection, its fields")
    p:flag("--reveal", "with --json: show a connection's password, extra and value")
    p:option("--version", "this version instead of the latest"):argname("VERSION")
        :target("secret_version")
    flags.add_resolver(p)
end

-- The rule that decides knows; when it cannot be asked, hiding is the safe answer.
local function is_connection(name, s)
    if name:find("^airflow/connections/") then return true end
    local steps = session.steps(s, name)
    for _, step in ipairs(steps or {}) do
        if step.holds == "connection" then return true end
    end
    return steps == nil
end

-- In Airflow's order; absent fields are left out.
local function connection_object(fields, order)
    local list = {}
    for i, name in ipairs(order) do list[i] = { name, fields[name] } end
    return json.object(list)
end

local function add_connection(list, bytes, reveal)
    local connection = require "moonlatch.connection"
    local parsed, problem = connection.parse(bytes)
    if parsed then
        local fields = connection.redacted(parsed, reveal)
        list[#list + 1] = { "connection", connection_object(fields, connection.FIELDS) }
    else
        list[#list + 1] = { "connection_error", problem }
    end
    if reveal then list[#list + 1] = show.value_pair(bytes) end
end

local function as_json(args, s, secret)
    local list, bytes = show.metadata(secret), secret:bytes() or ""
    if is_connection(args.name, s) then
        add_connection(list, bytes, args.reveal or false)
    else
        list[#list + 1] = show.value_pair(bytes)
    end
    return json.encode(json.object(list)) .. "\n"
end

-- "Missing" and "deleted but can come back" need different answers; best effort.
local function explain_missing(args, s, e)
    if e.code ~= "missing" then return e end
    local sentence, deleted = show.deleted(s, args.name)
    if not sentence then return e end
    return { code = "missing", outcome = "missing", exit = 4, text = sentence,
             try = "moonlatch recover " .. args.name,
             source = deleted:source(), key = deleted:key() }
end

function M.run(args, app)
    local s = session.open(args, app)
    local secret, e = s.resolver:get(args.name, s.opts { version = args.secret_version })
    if not secret then error(explain_missing(args, s, e)) end
    if args.json then
        app.write(as_json(args, s, secret))
        return 0
    end
    local bytes = secret:bytes() or ""
    app.write(bytes)
    if app.system.isatty(1) and bytes:sub(-1) ~= "\n" then app.write("\n") end
    return 0
end

return M
