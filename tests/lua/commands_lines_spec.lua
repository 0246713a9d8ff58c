-- commands_lines_spec.lua - commands that read line by line follow SIGHUP in between.
require "support.commands_world"
local lines = require "moonlatch.commands.shared.lines"

-- What read_line answers, in order; what reload answers.
local function run(script, reloads)
    local at, said, n_reloads, watched = 0, {}, 0, 0
    local app = {
        err = { write = function(_, text) said[#said + 1] = text end },
        system = {
            watch_hup = function() watched = watched + 1 end,
            read_line = function()
                at = at + 1
                return table.unpack(script[at] or {}, 1, 2)
            end,
        },
    }
    local session = { resolver = { reload = function()
        n_reloads = n_reloads + 1
        return table.unpack(reloads or { true }, 1, 2)
    end } }
    local got = {}
    local fine, problem = pcall(function()
        for line in lines.each(session, app) do got[#got + 1] = line end
    end)
    assert.equal(1, watched)
    return table.concat(got, ","), n_reloads, table.concat(said), not fine and problem or nil
end

it("lines come until the end", function()
    assert.same({ "a,,b", 0, "" }, { run { { "a" }, { "" }, { "b" } } })
end)

it("SIGHUP reads the policy again, and the lines go on", function()
    local got, n, said = run { { "a" }, { nil, "hup" }, { nil, "hup" }, { "b" } }
    assert.equal("a,b", got)
    assert.equal(2, n)
    assert.truthy(said:find("the policy was loaded again", 1, true))
end)

it("a bad policy is not an end", function()
    local got, n, said = run({ { nil, "hup" }, { "b" } }, { nil, { text = "bad" } })
    assert.equal("b", got)
    assert.equal(1, n)
    assert.equal("", said)
end)

it("a broken stdin is an error", function()
    local got, _, _, problem = run { { "a" }, { nil, "Input/output error" } }
    assert.equal("a", got)
    assert.equal("cannot read stdin: Input/output error", problem.text)
end)
