-- put: stores a value that comes from stdin, a file or a prompt, never from argv.
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"

local M = { hides_words = true }

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    p:argument("surplus"):args("*"):hidden(true)
    p:option("--from-file", "take the value from FILE, byte for byte"):argname("FILE")
    flags.add_metadata(p)
    flags.add_enabled(p)
    p:flag("--replace-metadata", "do not keep the tags and content type of before")
    flags.add_json(p, "print the new version's metadata")
    flags.add_resolver(p)
end

-- The most that Key Vault stores; nobody needs to read on.
local MAX_BYTES = 25600

local function refuse_too_long(is_too_long)
    if not is_too_long then return end
    error(report.usage(("the value is longer than %d bytes, the most that Key Vault stores; "
        .. "nothing was stored"):format(MAX_BYTES)))
end

local function of_file(app, path)
    local bytes, problem, is_too_long = app.system.read_file(path, MAX_BYTES)
    if bytes then return bytes end
    refuse_too_long(is_too_long)
    error(report.usage(("cannot read %s: %s"):format(path, problem)))
end

local function of_stdin(app)
    local bytes, problem, is_too_long = app.system.read_file(nil, MAX_BYTES)
    refuse_too_long(is_too_long)
    if not bytes then error(report.failure("cannot read stdin: " .. problem)) end
    if bytes:find("^[^\n]+\n$") then
        app.report.note("note: the value ends in a newline, which is stored too "
            .. "(printf %s leaves it out)")
    end
    return bytes
end

local function of_prompt(args, app, s)
    local target = session.target(s, args.name)
    app.report.note(("storing %s%s"):format(args.name, target and " in " .. target or ""))
    local bytes, problem = s.waiting(app.system.prompt, "value (not shown): ", false)
    if not bytes then error(report.usage("no value: " .. problem)) end
    if bytes == "" then error(report.usage("no value was typed; nothing was stored")) end
    return bytes
end

local function read_value(args, app, s)
    if args.from_file then return of_file(app, args.from_file) end
    if app.system.isatty(0) then return of_prompt(args, app, s) end
    return (s.waiting(of_stdin, app))
end

local function with_hint(e, name)
    if e.text:find("replace the metadata", 1, true) then
        e.try = ("moonlatch put %s --replace-metadata"):format(name)
    end
    return e
end

function M.run(args, app)
    if #args.surplus > 0 then
        error(report.usage("a value does not belong in a command line, where every user "
            .. "of this machine can read it; nothing was stored",
            ("moonlatch put %s < FILE, or without it to be asked"):format(args.name)))
    end
    local s = session.open(args, app)
    local value = read_value(args, app, s)
    if value == "" then
        app.report.log("warn", "put", "the value of " .. args.name .. " is empty")
    end
    local answer, e = s.resolver:put(args.name, value, s.opts {
        content_type = args.content_type, tags = flags.table_of(args.tags),
        enabled = flags.enabled_of(args), expires_s = args.expires_s,
        not_before_s = args.not_before_s, replace_metadata = args.replace_metadata })
    if not answer then error(with_hint(e, args.name)) end
    local stored = answer.secrets[1]
    return show.result(app, args, stored, ("stored %s in %s, version %s"):format(
        args.name, show.place_of(stored), stored:version()))
end

return M
