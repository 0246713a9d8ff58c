-- explain: which rules were tried, the plan, and what each step answered; no values.
local flags = require "moonlatch.commands.shared.flags"
local session = require "moonlatch.commands.shared.session"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    flags.add_json(p, "as JSON")
    p:flag("--plan-only", "do not ask any source: no network")
    flags.add_resolver(p)
end

function M.run(args, app)
    local s = session.open(args, app)
    local answer = assert(s.resolver:explain(args.name, s.opts {
        plan_only = args.plan_only, json = args.json }))
    local body = answer.text
    if body:sub(-1) ~= "\n" then body = body .. "\n" end
    app.write(body)
    return 0
end

return M
