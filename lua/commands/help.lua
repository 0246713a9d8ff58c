-- help: the verbs, or one verb's flags.
local flags = require "moonlatch.commands.shared.flags"
local verbs = require "moonlatch.commands.shared.verbs"

-- The manual pages have these texts too.
local M = {
    POLICY = [[
--policy FILE or airflow, else MOONLATCH_POLICY, else airflow when
AIRFLOW__SECRETS__BACKEND_KWARGS or AIRFLOW__SECRETS__BACKEND_KWARG__* is set, else
$XDG_CONFIG_HOME/moonlatch/policy.lua, else /etc/moonlatch/policy.lua.]],
    EXIT_CODES = [[
0 ok, 1 failure, 2 usage, 3 missing, 4 forbidden, disabled or deleted,
5 throttled or unavailable, 6 unauthenticated, 7 policy error, 8 conflict.]],
}

function M.define(p)
    p:argument("verb", "the verb to explain"):argname("VERB"):args("*")
end

local function overview()
    local out = { "moonlatch - secrets by name, where a policy decides what a name means",
                  "", "Usage: moonlatch VERB [flags]", "" }
    for _, entry in ipairs(verbs.list) do
        out[#out + 1] = ("  %-13s %s"):format(entry[1], entry[2])
    end
    table.move({ "", "Policy: " .. M.POLICY, "", "Exit codes: " .. M.EXIT_CODES, "",
        "`moonlatch help VERB` lists the flags of a verb." }, 1, 6, #out + 1, out)
    return table.concat(out, "\n") .. "\n"
end

function M.run(args, app)
    local verb = table.concat(args.verb, " ")
    if verb == "" then
        app.write(overview())
        return 0
    end
    local module = verbs.load(verb)
    if not module then error(verbs.unknown(verb)) end
    app.write(flags.parser(verb, module):get_help() .. "\n")
    return 0
end

return M
