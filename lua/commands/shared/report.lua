-- report: messages for people and machines, on stderr only, never a value.
--
-- An error is a table: text, exit, and if useful `try` (one line); errors of the
-- library bring code, source, key and the service's words as well.
local json = require "moonlatch.commands.shared.json"
local text = require "moonlatch.commands.shared.text"

local M = {}

function M.usage(message, try)
    return { code = "usage", outcome = "invalid", exit = 2, text = message, try = try }
end

-- What went wrong without the library: the machine, a file, a check that fails.
function M.failure(message, try)
    return { code = "system", outcome = "system", exit = 1, text = message, try = try }
end

local colours = { error = "\27[1;31m", warn = "\27[33m", info = "\27[36m", debug = "\27[2m" }

local function wants_colour(app, choice)
    if choice == "always" or choice == "never" then return choice == "always" end
    local getenv = app.getenv
    if (getenv("NO_COLOR") or "") ~= "" then return false end
    local force = getenv("CLICOLOR_FORCE") or ""
    if force ~= "" and force ~= "0" then return true end
    return getenv("TERM") ~= "dumb" and app.system.isatty(2)
end

-- How this run reports; style = {log_format=, color=}.
function M.new(app, style)
    local as_json = style.log_format == "json"
    local coloured = not as_json and wants_colour(app, style.color)
    local R = {}

    local function paint(word, level)
        if not coloured then return word end
        return colours[level] .. word .. "\27[0m"
    end

    local function json_line(fields)
        app.err:write(json.line(json.object(fields)), "\n")
    end

    function R.log(level, area, line)
        line = text.printable(line)
        if as_json then
            json_line { { "level", level }, { "area", area }, { "text", line } }
        else
            app.err:write(paint(level, level), " ", area, ": ", line, "\n")
        end
    end

    -- A remark that is no error: what was deleted, what could not be shown.
    function R.note(line)
        if as_json then return R.log("info", "moonlatch", line) end
        app.err:write(line, "\n")
    end

    function R.error(e)
        local line = text.printable(e.text)
        if R.built_in then -- its file and line lead nowhere
            local place = line:match("^(%w+):%d+: ")
            if place == R.built_in then line = line:gsub("^%w+:%d+: ", "") end
        end
        if as_json then
            json_line { { "level", "error" }, { "code", e.code }, { "text", line },
                        { "try", e.try }, { "source", e.source }, { "key", e.key },
                        { "http_status", e.http_status },
                        { "service_code", e.service_code },
                        { "request_id", e.request_id },
                        { "retry_after_ms", e.retry_after_ms }, { "exit", e.exit } }
            return
        end
        app.err:write(paint("moonlatch:", "error"), " ", line, "\n")
        if e.try then app.err:write("  try: ", text.printable(e.try), "\n") end
        if style.verbose and e.request_id then
            app.err:write("  request id: ", text.printable(e.request_id), "\n")
        end
    end

    return R
end

return M
