-- restore: brings back a backup, with all its versions, under the name it had.
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"

local M = {}

function M.define(p)
    p:argument("name", "a logical name: says which source to restore to"):argname("NAME")
    p:option("--from-file", "the backup; default stdin"):argname("FILE")
    flags.add_json(p, "print the restored secret's metadata")
    flags.add_resolver(p)
end

function M.run(args, app)
    if not args.from_file and app.system.isatty(0) then
        error(report.usage("no backup to restore", "--from-file FILE"))
    end
    local blob, problem = app.system.read_file(args.from_file)
    if not blob then
        error(report.usage(("cannot read %s: %s"):format(args.from_file or "stdin", problem)))
    end
    local s = session.open(args, app)
    local answer = assert(s.resolver:restore(args.name, blob, s.opts()))
    local back = answer.secrets[1]
    return show.result(app, args, back, "restored " .. show.place_of(back))
end

return M
