-- commands_spec.lua - what each verb asks of the public module and prints, without C.
local here = (os.getenv("ML_ROOT") or ".") .. "/tests/lua/support/commands_world.lua"
local W = dofile(here)
local secret, failure, world, run = W.secret, W.failure, W.world, W.run

local PLAN = { text = '{"steps": [{"writable": true, "source": "kv", "key": "k"}]}' }

local function run_get(answers, ...)
    answers.explain = PLAN
    local w = world { answers = answers }
    local code, out, err = run(w, "get", "--policy", "p.lua", ...)
    return code, out, err, w
end

describe("get", function()
    it("writes the bytes and nothing else", function()
        for _, bytes in ipairs { "v", "", "a\0b", "line\n", "\xff\xfe", ("x"):rep(25600) } do
            local code, out, err = run_get({ get = secret { bytes = bytes } }, "n")
            assert.equal(0, code)
            assert.equal(bytes, out)
            assert.equal("", err)
        end
    end)

    it("ends the line on a terminal only", function()
        local w = world { answers = { get = secret { bytes = "v" } }, tty = { true } }
        assert.equal("v\n", select(2, run(w, "get", "n", "--policy", "p.lua")))
        w = world { answers = { get = secret { bytes = "v\n" } }, tty = { true } }
        assert.equal("v\n", select(2, run(w, "get", "n", "--policy", "p.lua")))
    end)

    it("passes context, version, refresh and the rest of the timeout", function()
        local _, _, _, w = run_get({ get = secret { bytes = "v" } }, "n", "--context",
            "team=a", "--context", "env=b=c", "--version", "7", "--refresh", "--timeout", "2s")
        local opts = w.calls[1][2]
        assert.same({ team = "a", env = "b=c" }, opts.context)
        assert.equal("7", opts.version)
        assert.is_true(opts.refresh)
        assert.equal(1990, opts.timeout_ms)
        assert.equal(2000, w.options.deadline_ms)
    end)

    it("shows metadata and the value with --json", function()
        local code, out, err = run_get({ get = secret {
            bytes = 'a"b\n', name = "n", source = "kv", key = "k", version = "1",
            tags = { z = "1", a = "2" },
            attributes = { enabled = true, created_s = 1800000000 } } }, "n", "--json")
        assert.equal("", err)
        assert.equal(0, code)
        local data = require("dkjson").decode(out)
        assert.equal('a"b\n', data.value)
        assert.equal("kv", data.source)
        assert.same({ a = "2", z = "1" }, data.tags)
        assert.equal("2027-01-15T08:00:00Z", data.attributes.created)
        assert.is_nil(data.content_type)
    end)

    it("sends bytes that are not text as base64", function()
        for bytes, coded in pairs { ["\xff"] = "/w==", ["\xff\0"] = "/wA=",
                                    ["\xff\0\1"] = "/wAB" } do
            local _, out = run_get({ get = secret { bytes = bytes } }, "n", "--json")
            local data = require("dkjson").decode(out)
            assert.equal(coded, data.value_base64)
            assert.is_nil(data.value)
        end
    end)

    it("says missing with 3 when nothing was deleted either", function()
        local code, out, err, w = run_get({}, "n")
        assert.equal(3, code)
        assert.equal("", out)
        assert.matches("^moonlatch: missing it is\n", err)
        assert.equal("get_deleted", w.calls[2].verb)
    end)

    it("says deleted with 4 and how to recover", function()
        local code, _, err = run_get({ get_deleted = { secrets = { secret {
            source = "kv", key = "k", attributes = { scheduled_purge_s = 1800000000 } } } } },
            "n")
        assert.equal(4, code)
        assert.matches("soft%-deleted and will be purged on 2027%-01%-15", err)
        assert.matches("try: moonlatch recover n", err)
    end)

    it("asks for deleted ones only when the answer was missing", function()
        local code, _, _, w = run_get({ get = failure("forbidden", 4) }, "n")
        assert.equal(4, code)
        assert.equal(1, #w.calls)
    end)
end)

describe("a connection", function()
    local uri = "postgres://u:canary%31@db:5432/s?a=canary2"
    local function get_connection(name, ...)
        package.loaded["moonlatch.connection"] = {
            FIELDS = { "host", "password", "extra" },
            parse = function(text)
                if text == "bad" then return nil, "not a connection: no scheme" end
                return { host = "db", password = "canary1", extra = text }
            end,
            redacted = function(c, reveal)
                if reveal then return c end
                return { host = c.host, password = "***", extra = "***" }
            end,
        }
        local w = world { answers = {
            get = secret { bytes = name:find("bad") and "bad" or uri },
            explain = name ~= "unknown" and { text = '{"steps": [{"holds": "connection"}]}' }
                or nil } }
        local code, out, err = run(w, "get", name, "--policy", "p.lua", "--json", ...)
        return require("dkjson").decode(out), out .. err, code
    end
    after_each(function() package.loaded["moonlatch.connection"] = nil end)

    it("hides password, extra and the value", function()
        for _, name in ipairs { "airflow/connections/x", "connections/x", "unknown" } do
            local data, all = get_connection(name)
            assert.equal("db", data.connection.host)
            assert.equal("***", data.connection.password)
            assert.is_nil(data.value)
            assert.is_nil(all:find("canary", 1, true))
        end
    end)

    it("shows them with --reveal", function()
        local data = get_connection("connections/x", "--reveal")
        assert.equal("canary1", data.connection.password)
        assert.equal(uri, data.value)
    end)

    it("that cannot be read says why", function()
        local data, _, code = get_connection("connections/bad")
        assert.equal("not a connection: no scheme", data.connection_error)
        assert.is_nil(data.value)
        assert.equal(0, code)
    end)
end)

describe("the policy", function()
    local function chosen(w, ...)
        w.answers = { list = { secrets = {}, text = "" } }
        local code, _, err = run(world(w), "list", ...)
        return w.options, code, err
    end

    it("is --policy before everything", function()
        assert.equal("x.lua", chosen({ env = { MOONLATCH_POLICY = "y" } }, "--policy", "x.lua")
            .policy_file)
    end)

    it("is MOONLATCH_POLICY, then airflow, then the user's, then the system's", function()
        local env = { MOONLATCH_POLICY = "m.lua", HOME = "/h",
                      AIRFLOW__SECRETS__BACKEND_KWARGS = "{}" }
        local files = { ["/h/.config/moonlatch/policy.lua"] = "", ["/x/moonlatch/policy.lua"] = "",
                        ["/etc/moonlatch/policy.lua"] = "" }
        assert.equal("m.lua", chosen({ env = env, files = files }).policy_file)
        env.MOONLATCH_POLICY = nil
        local options = chosen { env = env, files = files }
        assert.equal("airflow", options.policy_name)
        assert.matches("bare_names = true", options.policy_text)
        env.AIRFLOW__SECRETS__BACKEND_KWARGS = nil
        assert.equal("/h/.config/moonlatch/policy.lua",
            chosen({ env = env, files = files }).policy_file)
        env.XDG_CONFIG_HOME = "/x"
        assert.equal("/x/moonlatch/policy.lua", chosen({ env = env, files = files }).policy_file)
        files["/x/moonlatch/policy.lua"] = nil
        assert.equal("/etc/moonlatch/policy.lua",
            chosen({ env = env, files = files }).policy_file)
    end)

    it("that is nowhere ends with 7 and the list of places", function()
        local _, code, err = chosen { env = { HOME = "/h" }, files = { ["policy.lua"] = "" } }
        assert.equal(7, code)
        for _, place in ipairs { "%-%-policy", "MOONLATCH_POLICY", "BACKEND_KWARGS",
                                 "/h/.config/moonlatch/policy.lua",
                                 "/etc/moonlatch/policy.lua" } do
            assert.matches(place, err)
        end
    end)

    it("may come from an env file, whose variables the library sees too", function()
        local lines = { { line = 1, name = "AIRFLOW__SECRETS__BACKEND_KWARGS", value = "{}" } }
        local options = chosen({ files = { ["e.env"] = "content" },
            dotenv = { content = lines } }, "--env-file", "e.env")
        assert.equal("airflow", options.policy_name)
        assert.same({ AIRFLOW__SECRETS__BACKEND_KWARGS = "{}" }, options.env)
    end)

    it("comes with a directory of shared budgets: a flag, or a variable", function()
        local env = { MOONLATCH_BUDGET_DIR = "/run/b", MOONLATCH_POLICY = "m.lua" }
        assert.equal("/run/b", chosen({ env = env }).budget_dir)
        assert.equal("/tmp/c", chosen({ env = env }, "--budget-dir", "/tmp/c").budget_dir)
        env.MOONLATCH_BUDGET_DIR = ""
        assert.is_nil(chosen({ env = env }).budget_dir)
    end)

    it("error keeps its exit code", function()
        local w = world { open_error = failure("policy", 7, "p.lua:3: '}' expected") }
        local code, _, err = run(w, "get", "x", "--policy", "p.lua")
        assert.equal(7, code)
        assert.equal("moonlatch: p.lua:3: '}' expected\n", err)
    end)
end)

describe("put", function()
    local stored = { put = { secrets = { secret { source = "kv", key = "k", version = "9" } } } }

    it("takes stdin byte for byte, and says where it went", function()
        local w = world { answers = stored, files = { ["-"] = "a\0\xff" } }
        local code, out, err = run(w, "put", "n", "--policy", "p", "--tag", "a=1", "--tag",
            "b=2", "--content-type", "text/plain", "--expires", "2027-01-15T08:00:00Z",
            "--disabled", "--replace-metadata")
        assert.equal(0, code)
        assert.equal("", out)
        assert.matches("stored n in kv:k, version 9", err)
        local call = w.calls[1]
        assert.equal("a\0\xff", call[2])
        local opts = call[3]
        assert.same({ a = "1", b = "2" }, opts.tags)
        assert.equal("text/plain", opts.content_type)
        assert.equal(1800000000, opts.expires_s)
        assert.is_false(opts.enabled)
        assert.is_true(opts.replace_metadata)
    end)

    it("keeps what is not given", function()
        local w = world { answers = stored, files = { f = "v" } }
        run(w, "put", "n", "--policy", "p", "--from-file", "f")
        local opts = w.calls[1][3]
        assert.is_nil(opts.tags)
        assert.is_nil(opts.enabled)
        assert.is_nil(opts.content_type)
    end)

    it("refuses a value in argv without repeating it", function()
        for _, words in ipairs { { "n", "canary" }, { "n", "-canary" }, { "n", "--", "canary" },
                                 { "n", "a", "canary" }, { "n", "--tag", "canary" } } do
            local w = world { answers = stored }
            local code, out, err = run(w, "put", table.unpack(words))
            assert.equal(2, code)
            assert.is_nil((out .. err):find("canary", 1, true), err)
            assert.equal(0, #w.calls)
        end
    end)

    it("shows the target, then asks without echo on a terminal", function()
        local w = world { tty = { [0] = true }, typed = "v",
            answers = { put = stored.put, explain = { text = "{}" } } }
        local code = run(w, "put", "n", "--policy", "p")
        assert.equal(0, code)
        assert.is_false(w.asked[2])
        assert.equal("v", w.calls[2][2])
    end)

    it("stores nothing when nothing was typed", function()
        for _, typed in ipairs { false, "" } do
            local w = world { tty = { [0] = true }, typed = typed or nil,
                answers = { put = stored.put } }
            assert.equal(2, (run(w, "put", "n", "--policy", "p")))
            for _, call in ipairs(w.calls) do assert.not_equal("put", call.verb) end
        end
    end)

    it("says which file it cannot read", function()
        local w = world { answers = stored }
        local code, _, err = run(w, "put", "n", "--policy", "p", "--from-file", "gone")
        assert.equal(2, code)
        assert.matches("cannot read gone: No such file", err)
    end)
end)

describe("delete and purge", function()
    local gone = secret { source = "kv", key = "k", attributes = {
        enabled = true, scheduled_purge_s = 1800000000 } }
    local answers = { delete = { secrets = { gone } }, purge = { secrets = {} } }

    it("need --yes where nobody can be asked", function()
        for _, verb in ipairs { "delete", "purge" } do
            local w = world { answers = answers }
            local code, _, err = run(w, verb, "n", "--policy", "p")
            assert.equal(2, code)
            assert.matches("%-%-yes", err)
            assert.equal(1, #w.calls)
        end
    end)

    it("ask a person and take no for an answer", function()
        for typed, calls in pairs { y = 2, yes = 2, n = 1, [""] = 1 } do
            local w = world { answers = answers, tty = { [0] = true }, typed = typed }
            local code = run(w, "delete", "n", "--policy", "p")
            assert.equal(calls, #w.calls)
            assert.equal(calls == 2 and 0 or 1, code)
            assert.is_true(w.asked[2])
        end
    end)

    it("say until when it can come back", function()
        local w = world { answers = answers }
        local code, out, err = run(w, "delete", "n", "--yes", "--policy", "p")
        assert.equal(0, code)
        assert.equal("", out)
        assert.matches("soft%-deleted n %(kv:k%), kept until 2027%-01%-15", err)
        assert.equal(0, (run(world { answers = answers }, "purge", "n", "-y", "--policy", "p")))
    end)
end)

describe("the other verbs", function()
    it("list names on stdout, remarks on stderr", function()
        local answers = { list = { text = "2 keys belong to no rule", secrets = {
            secret { name = "a/b", bytes = "canary" }, secret { key = "odd" } } } }
        local w = world { answers = answers }
        local code, out, err = run(w, "list", "a/**", "--policy", "p")
        assert.equal(0, code)
        assert.equal("a/b\nodd\n", out)
        assert.equal("2 keys belong to no rule\n", err)
        assert.equal("a/**", w.calls[1][1])
        w = world { answers = answers }
        local _, json_out = run(w, "list", "--json", "--policy", "p")
        assert.equal("a/b", require("dkjson").decode(json_out)[1].name)
        assert.is_nil(json_out:find("canary", 1, true))
    end)

    it("list --deleted", function()
        local w = world { answers = { list_deleted = { text = "", secrets = {} } } }
        assert.equal(0, (run(w, "list", "--deleted", "--policy", "p")))
        w = world { answers = { list_deleted = { text = "", secrets = {} } } }
        assert.equal("[]\n", select(2, run(w, "list", "--deleted", "--json", "--policy", "p")))
    end)

    it("explain passes its flags and prints the text", function()
        local w = world { answers = { explain = { text = "rule 1" } } }
        local code, out = run(w, "explain", "n", "--plan-only", "--json", "--policy", "p")
        assert.equal(0, code)
        assert.equal("rule 1\n", out)
        assert.is_true(w.calls[1][2].plan_only)
        assert.is_true(w.calls[1][2].json)
    end)

    it("update changes what was given, and needs something", function()
        local w = world { answers = { update = { secrets = { secret {} } } } }
        assert.equal(0, (run(w, "update", "n", "--disable", "--policy", "p")))
        assert.is_false(w.calls[1][2].enabled)
        assert.is_nil(w.calls[1][2].tags)
        assert.equal(2, (run(world(), "update", "n", "--policy", "p")))
        assert.equal(2, (run(world(), "update", "n", "--policy", "p", "--enable", "--disable")))
    end)

    it("versions puts the newest first", function()
        local w = world { answers = { versions = { text = "", secrets = {
            secret { version = "old", attributes = { enabled = false, created_s = 1 } },
            secret { version = "new", attributes = { enabled = true, created_s = 2 } } } } } }
        local _, out = run(w, "versions", "n", "--policy", "p")
        assert.matches("^new .*\nold .*disabled\n$", out)
    end)

    it("backup and restore move the blob untouched", function()
        local w = world { answers = { backup = { secrets = { secret { bytes = "b\0" } } } } }
        assert.equal("b\0", select(2, run(w, "backup", "n", "--policy", "p")))
        w = world { answers = { restore = { secrets = { secret {} } } }, files = { f = "b\0" } }
        assert.equal(0, (run(w, "restore", "n", "--from-file", "f", "--policy", "p")))
        assert.equal("b\0", w.calls[1][2])
        w = world { answers = { backup = { secrets = { secret { bytes = "b" } } } },
                    files = { f = "kept" } }
        assert.equal(1, (run(w, "backup", "n", "--output", "f", "--policy", "p")))
        assert.equal("kept", w.files.f)
    end)

    it("recover", function()
        local w = world { answers = { recover = { secrets = { secret {} } } } }
        assert.equal(0, (run(w, "recover", "n", "--policy", "p")))
    end)
end)
