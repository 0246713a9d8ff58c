-- policy check: what is wrong with a policy, before anybody asks it for a secret.
local cjson = require "cjson"
local flags = require "moonlatch.commands.shared.flags"
local policy_file = require "moonlatch.commands.shared.policy_file"
local report = require "moonlatch.commands.shared.report"
local session = require "moonlatch.commands.shared.session"
local text = require "moonlatch.commands.shared.text"

local M = {}

M.epilog = "Nothing is asked: no network.  Exit code 7 when something is wrong; with\n"
    .. "--strict also when something looks wrong."

function M.define(p)
    policy_file.add(p)
    p:option("--names", "names to try besides the policy's own, one a line"):argname("FILE")
    p:flag("--costs", "also say what planning a name of each rule costs")
    p:flag("--strict", "warnings count as errors")
    flags.add_json(p, "findings and rules as JSON")
    flags.add_resolver(p)
end

local function names_text(args, app)
    if not args.names then return "" end
    local content, problem = app.system.read_file(args.names)
    if content then return content end
    error(report.usage(("cannot read the names file %s: %s"):format(args.names, problem)))
end

local function counted(findings)
    local n = { error = 0, warning = 0, note = 0 }
    for _, f in ipairs(findings) do n[f.severity] = n[f.severity] + 1 end
    return n
end

local function some(n, word)
    return ("%d %s%s"):format(n, word, n == 1 and "" or "s")
end

local function write_findings(data, n, app)
    for _, f in ipairs(data.findings) do
        app.write(("%s: %s: %s\n"):format(f.where, f.severity, text.printable(f.text)))
        if f.try then app.write("  try: " .. text.printable(f.try) .. "\n") end
    end
    app.write(("%s, %s tried: %s, %s, %s\n"):format(some(#data.rules, "rule"),
        some(data.names, "name"), some(n.error, "error"), some(n.warning, "warning"),
        some(n.note, "note")))
end

local function cost_line(rule)
    local cost = rule.cost_us and ("%.1f us"):format(rule.cost_us) or "no name reaches it"
    if (rule.instructions or 0) > 0 then
        cost = ("%s, %d of its own instructions (%.2f %% of the budget)"):format(cost,
            rule.instructions, 100 * rule.instructions / rule.budget)
    end
    return ("%s: %s: %s, %s\n"):format(rule.where, text.printable(rule.label), cost,
        some(rule.names, "name"))
end

-- A policy that does not load is what is looked for here, whatever is wrong in it.
local function opened(args, app)
    local fine, s = pcall(session.open, args, app)
    if fine then return s end
    if type(s) == "table" and s.text and s.text:find("^[^:]+:%d+: ") then s.exit = 7 end
    error(s, 0)
end

function M.run(args, app)
    policy_file.take(args)
    local s = opened(args, app)
    local answer = assert(s.resolver:check(args.names, names_text(args, app), s.opts()))
    local data = cjson.decode(answer.text)
    local n = counted(data.findings)
    if args.json then
        app.write(answer.text)
    else
        write_findings(data, n, app)
        for _, rule in ipairs(args.costs and data.rules or {}) do app.write(cost_line(rule)) end
    end
    return (n.error > 0 or args.strict and n.warning > 0) and 7 or 0
end

return M
