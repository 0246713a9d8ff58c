-- list: one name a line; never a value.
local flags = require "moonlatch.commands.shared.flags"
local json = require "moonlatch.commands.shared.json"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"
local text = require "moonlatch.commands.shared.text"

local M = {}

function M.define(p)
    p:argument("pattern", "names to list, e.g. billing/**"):argname("PATTERN"):args("?")
    p:flag("--deleted", "the soft-deleted ones")
    flags.add_json(p, "an array with metadata")
    flags.add_resolver(p)
end

local function lines(secrets)
    local names = {}
    for i, s in ipairs(secrets) do names[i] = text.printable(show.name_of(s)) .. "\n" end
    return table.concat(names)
end

function M.run(args, app)
    local s = session.open(args, app)
    local verb = args.deleted and "list_deleted" or "list"
    local answer = assert(s.resolver:run(verb, args.pattern, s.opts()))
    if args.json then
        app.write(json.encode(show.array(answer.secrets)) .. "\n")
    else
        app.write(lines(answer.secrets))
    end
    for line in answer.text:gmatch("[^\n]+") do app.report.note(line) end
    return 0
end

return M
