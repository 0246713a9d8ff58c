-- update: changes attributes, content type or tags; the value stays.
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    p:option("--version", "this version instead of the latest"):argname("VERSION")
        :target("secret_version")
    flags.add_metadata(p)
    flags.add_enabled(p)
    flags.add_json(p, "print the new metadata")
    flags.add_resolver(p)
end

function M.run(args, app)
    local change = {
        version = args.secret_version, enabled = flags.enabled_of(args),
        content_type = args.content_type, tags = flags.table_of(args.tags),
        expires_s = args.expires_s, not_before_s = args.not_before_s }
    if change.enabled == nil and not (change.content_type or change.tags
            or change.expires_s or change.not_before_s) then
        error(report.usage("nothing to change",
            "--enable, --disable, --expires, --not-before, --content-type or --tag"))
    end
    local s = session.open(args, app)
    local answer = assert(s.resolver:update(args.name, s.opts(change)))
    local changed = answer.secrets[1]
    return show.result(app, args, changed,
        ("updated %s in %s"):format(args.name, show.place_of(changed)))
end

return M
