-- lines: the lines of stdin, for commands that run as long as somebody types.  SIGHUP
-- between them reads the policy again; the line that is being typed is not lost.
local report = require "moonlatch.commands.shared.report"

local M = {}

-- Reads the policy of a session (session.lua) again.  A bad one was logged: the policy
-- before stays.
function M.reload(s, app)
    local fine, problem = s.resolver:reload()
    if fine then app.err:write("moonlatch: the policy was loaded again\n") end
    return fine, problem
end

-- Iterator.  Raises what is wrong with stdin.
function M.each(s, app)
    app.system.watch_hup()
    return function()
        while true do
            local line, why = app.system.read_line()
            if why ~= "hup" then
                if why then error(report.failure("cannot read stdin: " .. why)) end
                return line
            end
            M.reload(s, app)
        end
    end
end

return M
