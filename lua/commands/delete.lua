-- delete: soft-deletes, after showing what and asking.
local consent = require "moonlatch.commands.shared.consent"
local flags = require "moonlatch.commands.shared.flags"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"
local text = require "moonlatch.commands.shared.text"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    consent.define(p)
    flags.add_json(p, "print the deleted secret's metadata")
    flags.add_resolver(p)
end

function M.run(args, app)
    local s = session.open(args, app)
    local target = session.target(s, args.name)
    consent.ask(args, app, s,
        ("delete %s%s"):format(args.name, target and " (" .. target .. ")" or ""))
    local answer = assert(s.resolver:delete(args.name, s.opts()))
    local gone = answer.secrets[1]
    local purge = text.utc(gone:attributes().scheduled_purge_s)
    return show.result(app, args, gone, ("soft-deleted %s (%s)%s; moonlatch recover %s "
        .. "brings it back"):format(args.name, show.place_of(gone),
        purge and ", kept until " .. purge or "", args.name))
end

return M
