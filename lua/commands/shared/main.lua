-- main: finds the verb, parses its flags, runs it, reports what went wrong.
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"
local verbs = require "moonlatch.commands.shared.verbs"

local M = {}

local takes_value = { ["--policy"] = true, ["--context"] = true, ["--env-file"] = true,
                      ["--timeout"] = true, ["--log-format"] = true, ["--color"] = true }

-- The first word that is neither a flag nor a flag's value; and all other words.
local function split(words)
    local i = 1
    while words[i] do
        local word = words[i]
        if word:sub(1, 1) ~= "-" then break end
        i = i + (takes_value[word] and 2 or 1)
    end
    local rest = table.move(words, 1, i - 1, 1, {})
    table.move(words, i + 1, #words, i, rest)
    return words[i], rest
end

-- Known before flags are parsed, so that a wrong flag is reported as asked for.
local function style_of(words)
    local style = {}
    for i, word in ipairs(words) do
        if word == "--" then break end
        local name, value = word:match("^%-%-([%a-]+)=(.*)$")
        if not name then name, value = word:match("^%-%-([%a-]+)$"), words[i + 1] end
        if name == "log-format" then style.log_format = value end
        if name == "color" then style.color = value end
        if word:find("^%-v+$") or word == "--verbose" then style.verbose = true end
    end
    return style
end

local function no_verb(words, rest)
    if words[1] == "--version" then return "version", {} end
    if #words == 0 then return nil end
    for _, word in ipairs(rest) do
        if word == "-h" or word == "--help" then return "help", {} end
    end
    return nil
end

local function run(app, words)
    local verb, rest = split(words)
    if verb and verbs.group(verb) then
        local word, others = split(rest)
        verb, rest = verb .. " " .. (word or ""), others
    end
    if not verb then verb, rest = no_verb(words, rest) end
    if not verb then error(report.usage("say what to do: a verb is missing", "moonlatch help")) end
    local module = verbs.load(verb)
    if not module then error(verbs.unknown(verb)) end
    local args, help = flags.parse(verb, module, rest)
    if not args then
        app.write(help .. "\n")
        return 0
    end
    return module.run(args, app)
end

-- What a Lua fault looks like to people: never its values, always its place.
local function fault(e)
    if type(e) == "table" and e.text then return e end
    return report.failure("internal error: " .. tostring(e),
                          "report this, with the command that was run")
end

-- app: out err getenv system moonlatch -> exit code.
function M.main(words, app)
    app.report = report.new(app, style_of(words))
    function app.write(bytes)
        local ok, problem = app.system.write(bytes)
        if not ok then error(report.failure("cannot write to stdout: " .. problem)) end
    end
    local ok, result = xpcall(run, fault, app, words)
    if ok then return result or 0 end
    app.report.error(result)
    return result.exit or 1
end

return M
