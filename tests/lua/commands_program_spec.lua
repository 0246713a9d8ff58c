-- commands_program_spec.lua - dispatch, help, reports; reading what people type.
local here = (os.getenv("ML_ROOT") or ".") .. "/tests/lua/support/commands_world.lua"
local W = dofile(here)
local secret, world, run = W.secret, W.world, W.run

describe("the program", function()
    it("refuses what it does not know with 2 and a suggestion", function()
        for _, case in ipairs {
            { { "gett", "x" }, "moonlatch get" }, { { "lst" }, "moonlatch list" },
            { { "frobnicate" }, "moonlatch help" }, { {}, "moonlatch help" },
            { { "get", "--polcy", "x", "n" }, "%-%-policy" }, { { "get" }, "help get" },
            { { "get", "a", "b" }, "help get" },
            { { "get", "a", "--timeout", "soon" }, "%-%-timeout" },
            { { "get", "a", "--timeout", "0s" }, "%-%-timeout must be between" },
            { { "get", "a", "--timeout", "-1s" }, "%-%-timeout is not a duration" },
            { { "dev-vault", "--page-size", "-1" }, "%-%-page%-size must be a whole number" },
            { { "dev-vault", "--page-size", "x" }, "%-%-page%-size must be a whole number" },
            { { "get", "a", "--context", "b=1", "--context", "b=2" },
              "%-%-context b is given twice" },
            { { "put", "a", "--tag", "b=1", "--tag", "b=2" }, "%-%-tag b is given twice" },
            { { "update", "a", "--tag", "b=1", "--tag=b=2" }, "%-%-tag b is given twice" },
            { { "get", "a", "--context", "x" }, "NAME=VALUE" },
            { { "get", "a", "--color", "blue" }, "auto" },
        } do
            local code, out, err = run(world(), table.unpack(case[1]))
            assert.equal(2, code)
            assert.equal("", out)
            assert.matches(case[2], err)
        end
    end)

    it("finds the verb behind flags", function()
        local w = world { answers = { get = secret { bytes = "v" } } }
        assert.equal(0, (run(w, "--policy", "list", "-v", "get", "n")))
        assert.equal("list", w.options.policy_file)
        assert.equal("info", w.options.log_level)
    end)

    it("has help for all and for one, also without the needed words", function()
        assert.matches("dev%-vault", select(2, run(world(), "help")))
        assert.matches("dev%-vault", select(2, run(world(), "--help")))
        for _, words in ipairs { { "get", "--help" }, { "help", "get" }, { "get", "-h" } } do
            local code, out = run(world(), table.unpack(words))
            assert.equal(0, code)
            assert.matches("Usage: moonlatch get", out)
        end
        assert.equal(2, (run(world(), "help", "nope")))
    end)

    it("tells versions", function()
        assert.matches("moonlatch 1%.2%.3\nlibcurl 7\n", select(2, run(world(), "version")))
        assert.matches("moonlatch 1%.2%.3", select(2, run(world(), "--version")))
        local data = require("dkjson").decode((select(2, run(world(), "version", "--json"))))
        assert.equal("3", data.openssl)
    end)

    it("says which second words a verb has", function()
        for _, words in ipairs { { "policy" }, { "policy", "--json" }, { "help", "policy" } } do
            local code, _, err = run(world(), table.unpack(words))
            assert.equal(2, code)
            assert.truthy(err:find("'policy' has a second word: policy check, policy test, "
                .. "policy repl", 1, true), err)
        end
        local code, _, err = run(world(), "help", "polcy", "check")
        assert.equal(2, code)
        assert.truthy(err:find("try: moonlatch policy check", 1, true), err)
    end)

    it("completes every verb in every shell", function()
        for _, shell in ipairs { "bash", "zsh", "fish" } do
            local code, out = run(world(), "completion", shell)
            assert.equal(0, code)
            for _, word in ipairs { "explain", "dev-vault", "policy", "reveal" } do
                assert.truthy(out:find(word, 1, true))
            end
        end
        assert.equal(2, (run(world(), "completion", "tcsh")))
    end)

    it("reports and logs as JSON when asked to", function()
        local w = world { answers = { get = setmetatable({ code = "throttled", exit = 5,
            text = "slow \27[31mdown", source = "kv", http_status = 429 }, {}) } }
        local code, _, err = run(w, "get", "n", "--policy", "p", "--log-format", "json", "-vv")
        assert.equal(5, code)
        local data = require("dkjson").decode(err)
        assert.equal("throttled", data.code)
        assert.equal(429, data.http_status)
        assert.equal("slow ?[31mdown", data.text)
        w.stderr = {}
        w.options.log("debug", "http", "GET")
        data = require("dkjson").decode(table.concat(w.stderr))
        assert.same({ level = "debug", area = "http", text = "GET" }, data)
        assert.equal("debug", w.options.log_level)
    end)

    it("colours a terminal, unless told otherwise", function()
        local function coloured(w, ...)
            return (select(3, run(world(w), "gett", ...))):find("\27", 1, true) ~= nil
        end
        assert.is_false(coloured {})
        assert.is_true(coloured { tty = { [2] = true } })
        assert.is_false(coloured { tty = { [2] = true }, env = { NO_COLOR = "1" } })
        assert.is_true(coloured({ env = { NO_COLOR = "1" } }, "--color=always"))
        assert.is_false(coloured({ tty = { [2] = true } }, "--color", "never"))
    end)

    it("turns a fault into exit 1, not a crash", function()
        local w = world { answers = { put = { secrets = {} } }, files = { ["-"] = "canary" } }
        local code, _, err = run(w, "put", "n", "--policy", "p")
        assert.equal(1, code)
        assert.matches("internal error", err)
        assert.is_nil(err:find("canary", 1, true))
    end)
end)

describe("what people type", function()
    local text = require "moonlatch.commands.shared.text"

    it("durations", function()
        for word, ms in pairs { ["5s"] = 5000, ["500ms"] = 500, ["2m"] = 120000, ["3"] = 3000,
                                ["1.5s"] = 1500, ["1h"] = 3600000, ["24h"] = 86400000 } do
            assert.equal(ms, text.duration_ms(word))
        end
        for _, word in ipairs { "", "s", "-5s", "25h", "5d", "5 s", "0", "1e3", "9999999s" } do
            assert.is_nil(text.duration_ms(word))
        end
    end)

    it("times", function()
        for word, s in pairs { ["1970-01-01"] = 0, ["2000-02-29"] = 951782400,
                               ["2027-01-15T08:00:00Z"] = 1800000000, ["+2d"] = 172805,
                               ["2027-01-15 08:00:00Z"] = 1800000000 } do
            assert.equal(s, text.time_s(word, 5))
        end
        for _, word in ipairs { "", "tomorrow", "2027-13-01", "2027-02-29", "2100-02-29", "2027-01-15T08:00",
                                "+3y", "2027-01-15T24:00:00Z" } do
            assert.is_nil(text.time_s(word, 5))
        end
    end)
end)
