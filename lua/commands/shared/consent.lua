-- consent: asks before something is taken away; scripts say --yes.
local report = require "moonlatch.commands.shared.report"

local M = {}

function M.define(p)
    p:flag("-y --yes", "do not ask")
end

-- Returns when the person agrees; raises otherwise.  question ends without "?".
function M.ask(args, app, s, question)
    if args.yes then return end
    if not app.system.isatty(0) then
        error(report.usage(question .. "? There is nobody to ask here", "add --yes"))
    end
    local answer, problem = s.waiting(app.system.prompt, question .. "? [y/N] ", true)
    if not answer then error(report.failure("no answer: " .. problem)) end
    if not answer:find("^%s*[yY]") then
        error(report.failure("left as it is: the answer was not yes"))
    end
end

return M
