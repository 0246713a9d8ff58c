-- purge: erases what was soft-deleted, for good, after asking.
local consent = require "moonlatch.commands.shared.consent"
local flags = require "moonlatch.commands.shared.flags"
local session = require "moonlatch.commands.shared.session"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    consent.define(p)
    flags.add_resolver(p)
end

function M.run(args, app)
    local s = session.open(args, app)
    local target = session.target(s, args.name)
    local what = args.name .. (target and " (" .. target .. ")" or "")
    consent.ask(args, app, s, ("purge %s for good, nothing brings it back"):format(what))
    assert(s.resolver:purge(args.name, s.opts()))
    app.report.note("purged " .. what)
    return 0
end

return M
