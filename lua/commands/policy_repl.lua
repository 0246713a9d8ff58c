-- policy repl: try names on a policy, line by line, and see the plan.
local flags = require "moonlatch.commands.shared.flags"
local lines = require "moonlatch.commands.shared.lines"
local policy_file = require "moonlatch.commands.shared.policy_file"
local session = require "moonlatch.commands.shared.session"
local text = require "moonlatch.commands.shared.text"

local M = {}

local HELP = [[
NAME [key=value ...]     the plan of a name; no source is asked
:ask NAME [key=value]    asks the sources as well, and shows what they answer; no values
:context [key=value ...] what is known besides; :context - forgets all
:reload                  reads the policy again (SIGHUP does the same)
:help  :quit
]]

function M.define(p)
    policy_file.add(p)
    flags.add_resolver(p)
end

-- "billing/db env=prod" -> "billing/db", { env = "prod" }; or nil, what is wrong.
local function parsed(words, base)
    local name, context = nil, {}
    for k, v in pairs(base) do context[k] = v end
    for word in words:gmatch("%S+") do
        local key, value = word:match("^([^=]+)=(.*)$")
        if key then
            context[key] = value
        elseif name then
            return nil, "one name at a time; context is written key=value"
        else
            name = word
        end
    end
    return name or "", context
end

-- Errors are told, and the next line may do better.
local function told(app, answer, problem)
    if not answer then return app.report.error(problem) end
    app.write(answer.text)
end

local function explain(R, words, plan_only)
    local name, context = parsed(words, R.context)
    if not name then return R.app.report.note(context) end
    local opts = R.session.opts { plan_only = plan_only }
    opts.context = context
    told(R.app, R.session.resolver:explain(name, opts))
end

local function show_context(R)
    local words = {}
    for k, v in pairs(R.context) do words[#words + 1] = k .. "=" .. v end
    table.sort(words)
    R.app.write((#words > 0 and table.concat(words, " ") or "(empty)") .. "\n")
end

local function reload(R)
    local fine, problem = lines.reload(R.session, R.app)
    if not fine then R.app.report.error(problem) end
end

local COMMANDS = {
    help = function(R) R.app.write(HELP) end,
    ask = function(R, words) explain(R, words, false) end,
    reload = reload,
    context = function(R, words)
        if words == "-" then R.context = {} words = "" end
        local name, context = parsed(words, R.context)
        if name ~= "" then return R.app.report.note("context is written key=value") end
        R.context = context
        show_context(R)
    end,
}

-- false: it is over.
local function handle(R, line)
    local command, words = line:match("^:(%S*)%s*(.-)%s*$")
    if command == "quit" or command == "q" then return false end
    if command and COMMANDS[command] then
        COMMANDS[command](R, words)
    elseif command then
        R.app.report.note(("there is no command ':%s'; :help lists them"):format(
            text.printable(command)))
    elseif line:find("%S") then
        explain(R, line, true)
    end
    return true
end

function M.run(args, app)
    policy_file.take(args)
    local s = session.open(args, app)
    local R = { app = app, session = s, context = flags.table_of(args.context) or {} }
    local is_terminal = app.system.isatty(0)
    local function prompt()
        if is_terminal then app.write("> ") end
    end
    if is_terminal then app.report.note("names, or :help") end
    prompt()
    for line in lines.each(s, app) do
        if not handle(R, line) then break end
        prompt()
    end
    return 0
end

return M
