-- recover: brings back what was soft-deleted.
local flags = require "moonlatch.commands.shared.flags"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    flags.add_json(p, "print the secret's metadata")
    flags.add_resolver(p)
end

function M.run(args, app)
    local s = session.open(args, app)
    local answer = assert(s.resolver:recover(args.name, s.opts()))
    local back = answer.secrets[1]
    return show.result(app, args, back,
        ("recovered %s in %s"):format(args.name, show.place_of(back)))
end

return M
