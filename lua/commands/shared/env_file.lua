-- env_file: the variables of one --env-file.  What its lines mean is core/source/dotenv.h.
local M = {}

-- What decides where secrets come from: a mistake in one of these must stop the run.
local NEEDED = { "^AIRFLOW__SECRETS__", "^AZURE_", "^MOONLATCH_", "^SSL_CERT_",
                 "^[%a]+_PROXY$", "^[%a]+_proxy$" }

-- Does this program itself read the variable?
function M.is_needed(name)
    for _, pattern in ipairs(NEEDED) do
        if name and name:find(pattern) then return true end
    end
    return false
end

local function told(file, line, name, reason)
    return ("%s:%d: %s%s"):format(file, line, name and name .. ": " or "", reason)
end

-- lines, as system.dotenv gives them -> values by name; warnings; and what cannot be read,
-- { name (nil when there is none), line, text }.  The last line of a name counts, also
-- when it is one that cannot be read.
function M.settle(lines, file)
    local values, seen, warnings, broken = {}, {}, {}, {}
    for _, line in ipairs(lines) do
        if line.reason then
            broken[#broken + 1] = { name = line.name, line = line.line,
                                    text = told(file, line.line, line.name, line.reason) }
        elseif seen[line.name] then
            warnings[#warnings + 1] = told(file, line.line, line.name,
                "it is there twice: this value wins over that of line " .. seen[line.name])
        end
        if line.name then
            values[line.name] = line.value
            seen[line.name] = line.value and line.line
        end
    end
    return values, warnings, broken
end

-- Adds the variables of one file to env.  A line that cannot be read stops the run only
-- when its variable decides where secrets come from.  nil, problem when it does.
function M.add(app, env, path)
    local content, problem = app.system.read_file(path)
    if not content then
        return nil, ("cannot read the env file %s: %s"):format(path, problem)
    end
    local lines, nul_line = app.system.dotenv(content)
    if not lines then return nil, told(path, nul_line, nil, "a NUL byte: is this a text file?") end
    local values, warnings, broken = M.settle(lines, path)
    for _, wrong in ipairs(broken) do
        if M.is_needed(wrong.name) then return nil, wrong.text end
        app.report.log("warn", "env-file", wrong.text .. " (the line is skipped)")
    end
    for _, warning in ipairs(warnings) do app.report.log("warn", "env-file", warning) end
    for name, value in pairs(values) do env[name] = value end
    return true
end

return M
