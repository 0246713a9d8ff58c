-- backup: the service's encrypted copy of a secret with all its versions.
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"
local session = require "moonlatch.commands.shared.session"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    p:option("-o --output", "write to FILE, which must not exist"):argname("FILE")
    flags.add_resolver(p)
end

function M.run(args, app)
    if not args.output and app.system.isatty(1) then
        error(report.usage("a backup is not for a terminal", "--output FILE"))
    end
    local s = session.open(args, app)
    local answer = assert(s.resolver:backup(args.name, s.opts()))
    local blob = answer.secrets[1]:bytes() or ""
    if not args.output then
        app.write(blob)
        return 0
    end
    local ok, problem = app.system.create_file(args.output, blob)
    if not ok then
        error(report.failure(("cannot write %s: %s"):format(args.output, problem)))
    end
    app.report.note(("backed up %s to %s"):format(args.name, args.output))
    return 0
end

return M
