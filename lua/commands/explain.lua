-- explain: which rules were tried, the plan, and what each step answered; no values.
local flags = require "moonlatch.commands.shared.flags"
local session = require "moonlatch.commands.shared.session"
local show = require "moonlatch.commands.shared.show"

local M = {}

function M.define(p)
    p:argument("name", "the logical name"):argname("NAME")
    flags.add_json(p, "as JSON")
    p:flag("--plan-only", "do not ask any source: no network")
    flags.add_resolver(p)
end

-- In the text and in the JSON of explain; a plan alone has no answer.
local function is_missing(body)
    return body:find("\nanswer: missing", 1, true)
        or body:find('"result":{"outcome":"missing"', 1, true)
end

-- The trace does not tell "never there" from "deleted, but can come back".
local function note_deleted(s, name, app)
    local sentence = show.deleted(s, name)
    if not sentence then return end
    app.report.note(("%s; moonlatch recover %s brings it back"):format(sentence, name))
end

function M.run(args, app)
    local s = session.open(args, app)
    local answer = assert(s.resolver:explain(args.name, s.opts {
        plan_only = args.plan_only, json = args.json }))
    local body = answer.text
    if body:sub(-1) ~= "\n" then body = body .. "\n" end
    app.write(body)
    if is_missing(body) then note_deleted(s, args.name, app) end
    return 0
end

return M
