-- versions: every version of a secret, newest first; never a value.
local flags = require "moonlatch.commands.shared.flags"
local json = require "moonlatch.commands.shared.json"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"
local text = require "moonlatch.commands.shared.text"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    flags.add_json(p, "an array with metadata")
    flags.add_resolver(p)
end

-- The service lists them in no order that means anything.
local function newest_first(a, b)
    local at, bt = a:attributes().created_s or 0, b:attributes().created_s or 0
    if at ~= bt then return at > bt end
    return a:version() < b:version()
end

local function line_of(s)
    local a = s:attributes()
    return ("%s  %s%s\n"):format(s:version(), text.utc(a.created_s) or "-",
        a.enabled and "" or "  disabled")
end

function M.run(args, app)
    local s = session.open(args, app)
    local secrets = assert(s.resolver:versions(args.name, s.opts())).secrets
    table.sort(secrets, newest_first)
    if args.json then
        app.write(json.encode(show.array(secrets)) .. "\n")
        return 0
    end
    for _, secret in ipairs(secrets) do app.write(line_of(secret)) end
    return 0
end

return M
