-- policy test: runs the cases of a policy, offline; TAP on stdout.
local cjson = require "cjson"
local flags = require "moonlatch.commands.shared.flags"
local junit = require "moonlatch.commands.shared.junit"
local policy_file = require "moonlatch.commands.shared.policy_file"
local report = require "moonlatch.commands.shared.report"
local session = require "moonlatch.commands.shared.session"
local text = require "moonlatch.commands.shared.text"

local M = {}

M.epilog = "Cases are ml.case \"name\" { ... }: in the policy (tests = { ... }), or in files\n"
    .. "that return a list of them.  Nothing is asked: no network.  Exit code 1 when one fails."

function M.define(p)
    policy_file.add(p)
    p:option("--cases", "a file of cases; may be repeated"):argname("FILE"):count("*")
    p:option("--junit", "also write the results to FILE, as JUnit XML"):argname("FILE")
    flags.add_resolver(p)
end

local function append(results, answer)
    for _, result in ipairs(cjson.decode(answer.text).results) do
        results[#results + 1] = result
    end
end

local function cases_text(path, app)
    local content, problem = app.system.read_file(path)
    if content then return content end
    error(report.usage(("cannot read the cases %s: %s"):format(path, problem)))
end

-- The policy's own cases, then those of each file.
local function all_results(args, app)
    local s, results = session.open(args, app), {}
    append(results, assert(s.resolver:test(nil, "", s.opts())))
    for _, path in ipairs(args.cases or {}) do
        append(results, assert(s.resolver:test(path, cases_text(path, app), s.opts())))
    end
    return results, s.policy.file or s.policy.name
end

local function one_line(words) return (text.printable(words):gsub("#", "\\#")) end

local function write_tap(results, app)
    app.write(("TAP version 13\n1..%d\n"):format(#results))
    local failed = 0
    for i, result in ipairs(results) do
        app.write(("%s %d - %s\n"):format(result.problem and "not ok" or "ok", i,
            one_line(result.name)))
        if result.problem then
            failed = failed + 1
            app.write(("# %s: %s\n"):format(result.where, text.printable(result.problem)))
        end
    end
    return failed
end

function M.run(args, app)
    policy_file.take(args)
    local results, policy = all_results(args, app)
    if #results == 0 then
        error(report.failure(("%s has no cases"):format(policy),
            "write tests = { ml.case \"name\" { plan = ... } } into ml.policy, or --cases FILE"))
    end
    local failed = write_tap(results, app)
    if args.junit then
        local ok, problem = app.system.write_file(args.junit, junit.document(policy, results))
        if not ok then
            error(report.failure(("cannot write %s: %s"):format(args.junit, problem)))
        end
    end
    return failed > 0 and 1 or 0
end

return M
