-- team_spec.lua - ml.team: what the file of a team can do, and what its author cannot,
-- however hard he tries.
local t = require "support.policy"
local team = require "moonlatch.team"
local tools = require "support.fake_tools"
local fake = t.fake

local HEAD = 'local ml = require "moonlatch.policy"\n'
local URL = t.URL

-- Two teams and the policy that names them.  parts: more options of team a, its file,
-- what comes behind the teams.
local function script(parts)
  return {
    files = {
      ["/etc/ml/policy.lua"] = HEAD .. ([[
local kv = ml.azure_key_vault { vault_url = "%s" }
return ml.policy {
  ml.team "a" { confine = "a/**", file = "teams/a.lua", %s },
  ml.team "b" { confine = { "b/**", "both/**" }, file = "teams/b.lua", sources = { vault = kv } },
  %s
}]]):format(URL, parts.options or "", parts.behind or ""),
      ["/etc/ml/teams/a.lua"] = HEAD .. parts.a,
      ["/etc/ml/teams/b.lua"] = HEAD .. (parts.b or [[
return ml.policy { ml.rule "**" { prefix = "b-", from = ml.given.vault, label = "ONLY-B-KNOWS",
  replace = { ["/"] = "-" } } }]]),
    },
    env = { A_URL = "https://a.vault.azure.net", A_SECRET = "canary-a", B_TOKEN_X = "canary-b",
      B_URL = "https://canary.vault.azure.net", AZURE_CLIENT_SECRET = "canary-host" },
    vaults = { [URL] = {
      ["a-one"] = "1", ["A-Two"] = "2", ["b-b-one"] = "canary", ["ops-root"] = "canary",
    } },
  }
end

local GIVEN = 'sources = { vault = { kv, keys = "a-*" } }'

local function load(parts) return t.load_path(script(parts)) end
local function refused(parts) return t.refused_path(script(parts)).text end

local function refused_with(parts, ...)
  local text = refused(parts)
  for _, word in ipairs { ... } do
    assert.truthy(text:find(word, 1, true), word .. " is not in: " .. text)
  end
  return text
end

local MAPPED = [[return ml.policy { ml.rule "a/*" { strip = "a/", prefix = "a-", from = ml.given.vault } }]]

describe("a team", function()
  it("answers, lists and explains its own names", function()
    local p = load { options = GIVEN, a = MAPPED }
    assert.equal("acme:a-one=1", (t.get(p, "a/one")))
    assert.equal("a/Two a/one", (t.names(p, "a/*")))
    local text = t.run(p, "explain", "a/one").text
    assert.truthy(text:find("team a .*matches"), text)
    assert.truthy(text:find("teams/a.lua:2", 1, true), text)
  end)
  it("that tries its file alone is told what is missing", function()
    local f = t.refused(MAPPED)
    assert.equal("policy", f.code)
    assert.truthy(f.text:find("p.lua:2: ml.given is for files that an ml.team names", 1, true),
      f.text)
  end)
  it("that has no rule for a name lets the policy go on", function()
    local p = load { a = 'return ml.policy { ml.deny "a/secret" }',
      behind = 'ml.rule "**" { from = kv, replace = { ["/"] = "-" } }' }
    assert.equal("acme:a-one=1", (t.get(p, "a/one")))
    local _, f = t.get(p, "a/secret")
    t.fails(nil, f, "policy", "teams/a.lua:2")
  end)
  it("sees the context of the host, and cannot change it for others", function()
    local p = load { options = GIVEN, a = [[return ml.policy { ml.rule "a/**" { map = function(req)
      local env = req.context.env
      req.context.env = "changed"; req.name = "b/one"; req.captures.x = 1
      return ml.given.vault:key("a-" .. env) end } }]] }
    local context = { env = "prod" }
    assert.equal("acme:a-prod", (t.plan(p, "a/x", context)))
    assert.same({ env = "prod" }, context)
    assert.equal("acme:a-prod", (t.plan(p, "a/x", context)))
  end)
end)

describe("names outside the confine", function()
  local GREEDY = [[
    seen = {}
    local function map(req) seen[#seen + 1] = req.name; error(table.concat(seen, ",")) end
    return ml.policy { ml.deny "b/hidden", ml.deny "c", ml.rule "**" { map = map } }]]
  it("are not answered, denied or shadowed", function()
    local p = load { a = GREEDY }
    assert.equal("acme:b-b-one=canary", (t.get(p, "b/one")))
    assert.equal("acme:b-b-hidden", (t.plan(p, "b/hidden")))
    for _, name in ipairs { "c", "A/x", "a", "ab/x", "x/a/y", "/a/x", "b/a/x" } do
      local _, f = t.get(p, name)
      assert.falsy(f and f.text:find("teams/a.lua", 1, true), f and f.text)
    end
  end)
  it("are not learnt: the team's functions see its own names only", function()
    local p = load { a = GREEDY }
    for _, name in ipairs { "b/one", "both/x", "c", "ops/root" } do t.get(p, name) end
    t.names(p)
    t.run(p, "explain", "b/one")
    local _, f = t.get(p, "a/x")
    assert.truthy(f.text:find(" a/x$"), f.text)
  end)
  it("are explained without a word about the team's rules", function()
    local p = load { options = GIVEN, a = MAPPED }
    local text = t.run(p, "explain", "a/one", { plan_only = true }).text
    assert.falsy(text:find("ONLY-B-KNOWS", 1, true), text)
    text = t.run(p, "explain", "ops/root", { plan_only = true }).text
    assert.truthy(text:find("team a +no match: outside its confine"), text)
    assert.truthy(text:find("team b +no match: outside its confine"), text)
    assert.falsy(text:find("ONLY-B-KNOWS", 1, true), text)
    assert.falsy(text:find("teams/", 1, true), text)
    text = t.run(p, "explain", "ops/root", { plan_only = true, json = true }).text
    assert.falsy(text:find("ONLY-B-KNOWS", 1, true), text)
    assert.falsy(text:find("teams/", 1, true), text)
  end)
  it("are not listed, whatever the team's rules map", function()
    local p = load { options = GIVEN,
      behind = 'ml.rule "ops/*" { strip = "ops/", prefix = "ops-", from = kv }',
      a = 'return ml.policy { ml.rule "**" { strip = { "a/", "ops/" }, from = ml.given.vault } }' }
    assert.equal("a/A-Two a/a-one b/one ops/root", (t.names(p)):gsub("both/%S+ ?", ""))
  end)
  it("do not make list ask the team's sources", function()
    local p = load { options = 'env = "A_*"', a = [[
      local own = ml.azure_key_vault { vault_url = ml.env "A_URL", credential = ml.client_secret {
        tenant_id = "t", client_id = "c", client_secret = ml.env_secret "A_SECRET" } }
      return ml.policy { ml.rule "a/*" { strip = "a/", from = own } }]] }
    t.names(p, "b/**")
    assert.equal("list acme:", t.asked())
    for _, pattern in ipairs { "**", "", "a/x", "{any}/x" } do
      fake.calls = {}
      t.names(p, pattern)
      assert.truthy(t.asked():find("list a.a:", 1, true), pattern .. t.asked())
    end
  end)
end)

describe("policy check", function()
  it("tries the names of a team within its confine only", function()
    local p = load { options = GIVEN, a = [[
      return ml.policy { ml.rule "a/*" { strip = "a/", prefix = "a-", from = ml.given.vault },
        examples = { "a/x", "ops/secret-map" }, tests = { ml.case "ops/x" { plan = "kv:x" } } }]],
      behind = 'ml.rule "ops/**" { map = function() error("ONLY-OPS-KNOWS") end }' }
    fake.tick = 100
    local text = t.run(p, "check", "names", { value = "" }).text
    fake.tick = nil
    assert.falsy(text:find("ONLY-OPS-KNOWS", 1, true), text)
    assert.truthy(text:find('"ops/secret-map\\" is outside the confine of the team', 1, true), text)
    assert.truthy(text:find('"ops/x\\" is outside the confine of the team', 1, true), text)
    assert.truthy(text:find('"names":1', 1, true), text)
  end)
end)

describe("a source that was given", function()
  it("has the keys that were given, in any case of Key Vault's", function()
    local p = load { options = GIVEN,
      a = [[return ml.policy { ml.rule "a/**" { strip = "a/", from = ml.given.vault } }]] }
    assert.equal("acme:A-one=1", (t.get(p, "a/A-one")))
    for _, key in ipairs { "ops-root", "b-b-one", "a", "xa-one", "OPS-ROOT" } do
      fake.calls = {}
      local _, f = t.get(p, "a/" .. key)
      t.fails(nil, f, "policy", 'team "a" was given a-* only (policy.lua:4)')
      assert.equal("", t.asked())
    end
  end)
  it("refuses keys of a map function, and writes", function()
    local p = load { options = GIVEN, a = [[return ml.policy { ml.rule "a/**" { map = function(req)
      return { ml.given.vault:key("a-one"), ml.given.vault:key("ops-root") } end } }]] }
    local _, f = t.get(p, "a/x")
    t.fails(nil, f, "policy", "ops-root")
    for _, verb in ipairs { "put", "delete", "versions", "purge", "backup", "update" } do
      local _, g = t.run(p, verb, "a/x", { value = fake.secret("v") })
      t.fails(nil, g, "policy", "ops-root")
    end
    assert.equal("", t.asked())
  end)
  it("guards itself, whoever calls it", function()
    local p = load { options = GIVEN, a = MAPPED }
    local raw = p.rules[1].policy.rules[1].entries[1].raw
    local answer, f = raw:call("get", { key = "ops-root" })
    t.fails(answer, f, "policy", "ops-root")
    assert.equal("", t.asked())
    local keys = {}
    for i, s in ipairs(raw:call("list", {})) do keys[i] = s:key() end
    table.sort(keys)
    assert.same({ "A-Two", "a-one" }, keys)
  end)
  it("is listed once for all teams", function()
    local p = load { options = GIVEN, a = MAPPED }
    t.names(p)
    assert.equal("list acme:", t.asked())
  end)
  it("shows a function of the team its own keys only", function()
    local p = load { options = GIVEN, a = [[
      local seen = {}
      return ml.policy { ml.rule "a/*" {
        from = ml.given.vault, map = function(req) return ml.given.vault:key(req.leaf) end,
        inverse = function(key) seen[#seen + 1] = key; return "a/" .. key end } }]] }
    assert.equal("a/A-Two a/a-one", (t.names(p, "a/**")))
  end)
  it("refuses a backup, which may be of any key", function()
    local p = load { options = GIVEN, a = MAPPED }
    local blob = { value = fake.secret("blob of ops-root") }
    local answer, f = t.run(p, "restore", "a/one", blob)
    t.fails(answer, f, "policy", "restore, which may be of any key, is refused")
    assert.equal("", t.asked())
    p = load { options = "sources = { vault = kv }", a = MAPPED }
    t.ok(t.run(p, "restore", "a/one", blob))
  end)
  it("stays what it is when there is no cache: an outage", function()
    local s = script { a = [[return ml.policy { ml.rule "a/**" { from = ml.given.lua,
      on = { unavailable = "stale" } } }]] }
    s.files["/etc/ml/policy.lua"] = HEAD .. [[
      local lua = ml.source { get = function() return nil, "unavailable", "down" end }
      return ml.policy { ml.team "a" { confine = "a/**", file = "teams/a.lua",
        sources = { lua = lua } } }]]
    tools.reset()
    local answer, f = t.get(t.load_path(s), "a/x")
    t.fails(answer, f, "unavailable", "down")
  end)
  it("has the cache of the one who gives, also for explain", function()
    local p = load { options = GIVEN, a = MAPPED }
    fake.keep("acme:a-one", { state = "fresh", ms = 5000 })
    local text = t.run(p, "explain", "a/one", { plan_only = true }).text
    assert.truthy(text:find("cache: fresh for another 5.0 s", 1, true), text)
  end)
  it("may be given whole", function()
    local p = load { options = "sources = { vault = kv }",
      a = [[return ml.policy { ml.rule "a/*" { strip = "a/", from = ml.given.vault } }]] }
    assert.equal("acme:ops-root=canary", (t.get(p, "a/ops-root")))
  end)
  for options, words in pairs {
    ["sources = { vault = 1 }"] = "vault is neither a source nor",
    ["sources = { kv }"] = "each source needs a name",
    ["sources = { vault = { kv } }"] = "vault: keys are missing",
    ["sources = { vault = { kv, key = 'a-*' } }"] = "has no option 'key'",
    ["sources = { vault = { kv, keys = 'a**' } }"] = "keys, 'a**'",
    ["sources = { vault = { kv, keys = {} } }"] = "the list is empty",
  } do
    it("is checked: " .. options, function()
      refused_with({ options = options, a = MAPPED }, 'policy.lua:4: ml.team "a"', words)
    end)
  end
end)

describe("the environment", function()
  local function using(text) return text .. ' return ml.policy { ml.deny "a/x" }' end
  it("is closed, and the message says what opens it", function()
    for _, name in ipairs { "A_URL", "B_URL", "NOT_SET_AT_ALL" } do
      local text = refused_with({ a = using('local x = ml.env "' .. name .. '"') },
        "teams/a.lua:2:", name, "policy.lua:4")
      assert.falsy(text:find("canary", 1, true), text)
    end
    refused_with({ a = using 'local x = ml.env("B_URL", "default")' }, "not open to team")
    refused_with({ a = using 'local x = ml.env_secret "B_TOKEN_X"' }, "not open to team")
  end)
  it("tells nothing of what is set and what is not", function()
    local set = refused { options = 'env = "A_*"', a = using 'local x = ml.env "B_URL"' }
    local not_set = refused { options = 'env = "A_*"', a = using 'local x = ml.env "B_NOT"' }
    assert.equal(set:gsub("B_URL", "X"), (not_set:gsub("B_NOT", "X")))
  end)
  it("is open as far as the policy says", function()
    load { options = 'env = { "A_*" }', a = using 'assert(ml.env "A_URL" == "https://a.vault.azure.net")' }
    refused_with({ options = 'env = { "A_*" }', a = using 'local x = ml.env "B_URL"' }, "not open")
    refused_with({ options = 'env = { "A_*" }', a = using 'local x = ml.env "xA_URL"' }, "not open")
  end)
  it("does not come by a default either", function()
    refused_with({ options = GIVEN, a = [[return ml.policy { ml.rule "a/*" { from = ml.given.vault,
      default = ml.env_secret "AZURE_CLIENT_SECRET" } }]] }, "not open")
  end)
end)

describe("the identity of the host", function()
  local VAULT = 'local kv = ml.azure_key_vault { vault_url = "https://other.vault.azure.net", %s }'
    .. ' return ml.policy { ml.rule "a/*" { from = kv } }'
  it("is not the team's", function()
    refused_with({ a = VAULT:format "" }, "teams/a.lua:2", "default_credential", "policy.lua:4")
  end)
  it("can be lent", function()
    load { options = "default_credential = true", a = VAULT:format "" }
    assert.is_nil(fake.vaults[2].client_secret)
  end)
  for _, option in ipairs { "authority = 'https://evil.example'", "audience = 'https://x'",
    "dns_suffix = 'evil.example'", "verify_challenge_resource = false" } do
    it("cannot be sent elsewhere: " .. option, function()
      refused_with({ options = "default_credential = true", a = VAULT:format(option) },
        "teams/a.lua:2", "of the team's own")
    end)
  end
  it("is not needed with a credential of its own", function()
    load { options = "env = 'A_*'", a = VAULT:format [[authority = "https://login.example",
      credential = ml.client_secret { tenant_id = "t", client_id = "c",
      client_secret = ml.env_secret "A_SECRET" }]] }
    assert.equal("canary-a", fake.reveal(fake.vaults[2].client_secret))
    assert.equal("a.other", fake.vaults[2].alias)
  end)
end)

describe("constructors", function()
  for _, use in ipairs { "ml.environment {}", "ml.airflow {}",
    "ml.team 'x' { confine = '**', file = 'a.lua' }",
    "ml.airflow.x = 1", "ml.environment.x()" } do
    it("are closed: " .. use, function()
      refused_with({ a = "local x = " .. use:gsub(" = 1$", "") .. " return ml.policy { ml.deny 'a/x' }" },
        "teams/a.lua:2", "is not open to team", "policy.lua:4")
    end)
  end
  it("and sources that are not there are told, with the ml.team", function()
    refused_with({ options = GIVEN,
      a = 'return ml.policy { ml.rule "a/*" { from = ml.given.valt } }' },
      "teams/a.lua:2: there is no ml.given.valt", 'of the ml.team "a"', "policy.lua:4")
    refused_with({ a = "return ml.polcy {}" }, "teams/a.lua:2: there is no ml.polcy")
  end)
  it("are closed when they are new", function()
    local full = { brand_new = function() return "reads everything" end, rule = print }
    local ml = team.restricted(full, function() return "a.lua:1" end,
      { name = "a", where = "p.lua:4", allow = {}, given = {} }, {})
    assert.equal(print, ml.rule)
    local fine, problem = pcall(ml.brand_new)
    assert.is_false(fine)
    assert.truthy(problem:find('a.lua:1: ml.brand_new is not open to team "a"', 1, true), problem)
  end)
  it("can be allowed one by one", function()
    local p = load { options = 'allow = "environment"',
      a = 'return ml.policy { ml.rule "a/*" { strip = "a/", from = ml.environment {} } }' }
    assert.equal("a.environment:A_URL", (t.plan(p, "a/A_URL")))
    refused_with({ options = 'allow = "envirnoment"', a = MAPPED }, "policy.lua:4", "envirnoment")
    refused_with({ options = 'allow = "team"', a = MAPPED }, "policy.lua:4", "ml.team")
  end)
end)

describe("ml.airflow of a team", function()
  local function airflow(options, more)
    return { options = GIVEN .. ', allow = { "airflow"' .. (more or "") .. " }",
      a = "return ml.policy { ml.airflow " .. options .. " }" }
  end
  it("asks what it was given", function()
    load(airflow "{ from = ml.given.vault }")
    load(airflow("{ from = ml.given.vault, then_environment = true }", ', "environment"'))
  end)
  for _, options in ipairs { "{}", "{ vault_url = 'https://other.vault.azure.net' }",
    "{ vault_url = 'https://v.evil.example', authority = 'https://evil.example' }",
    "{ from = ml.given.vault, then_environment = true }" } do
    it("does not reach for what is the host's: " .. options, function()
      refused_with(airflow(options), "teams/a.lua:2", "is not open to team", "policy.lua:4")
    end)
  end
end)

describe("a hostile file", function()
  it("shares no table with another", function()
    load {
      a = [[
        leak = 1; _G.leak2 = 2; _ENV.leak3 = 3
        for _, lib in pairs { string, table, math, utf8 } do
          for k in pairs(lib) do lib[k] = nil end
          lib.leak = "yes"
        end
        for k in pairs(ml.given or {}) do ml.given[k] = nil end
        local deny, policy = ml.deny, ml.policy
        for k in pairs(ml) do ml[k] = nil end
        ml.leak = 1
        return policy { deny "a/x" }]],
      b = [[
        assert(leak == nil and leak2 == nil and leak3 == nil)
        for name in pairs(ml) do assert(name ~= "leak") end
        for _, lib in pairs { string, table, math, utf8 } do
          assert(lib.leak == nil and next(lib) ~= nil)
        end
        assert(string.rep and ("x").rep and ("x"):rep(2) == "xx" and ("x").leak == nil)
        assert(ml.given.vault and ml.rule)
        return ml.policy { ml.deny "b/x" }]],
    }
  end)
  it("cannot change a handle, or read one", function()
    refused_with({ options = GIVEN, a = "ml.given.vault.key = nil return ml.policy { ml.deny 'a/x' }" },
      "teams/a.lua:2", "cannot be changed")
    load { options = GIVEN, a = [[
      local v = ml.given.vault
      assert(next(v) == nil and v.raw == nil and v.entry == nil and v.check == nil)
      assert(v.key ~= nil and not pcall(v.key, {}, "x") and not pcall(v.key, ml, "x"))
      return ml.policy { ml.deny "a/x" }]] }
  end)
  it("cannot use the handle of another", function()
    local p = load { options = GIVEN, a = [[return ml.policy { ml.rule "a/*" { map = function()
      return { source = {}, key = "ops-root" } end } }]] }
    local _, f = t.get(p, "a/x")
    t.fails(nil, f, "policy", "is not a step")
  end)
  it("is told nothing about others by messages", function()
    local function caught(text)
      return ([[local _, e = pcall(function() %s end)
        return ml.policy { ml.rule "a/*" { map = function() error(e) end } }]]):format(text)
    end
    for _, text in ipairs { "ml.rule 'x' { from = 1 }", "ml.policy { 1 }", "ml.env 'B_URL'",
      "ml.team 'b' { confine = 'b/**', file = 'teams/b.lua' }", "ml.nothing()",
      "require 'teams/b'", "ml.environment()", "ml.given.other:key('x')",
      "ml.azure_key_vault { vault_url = 'https://acme.vault.azure.net', alias = 'acme' }" } do
      local p = load { a = caught(text) }
      local _, f = t.get(p, "a/x")
      for _, word in ipairs { "teams/b.lua", "ONLY-B-KNOWS", "b/**", "acme-shared", "canary" } do
        local found = f.text:gsub("teams/a.lua", ""):find(word, 1, true)
        assert.falsy(found and not text:find(word, 1, true), f.text)
      end
    end
  end)
  it("learns no alias of others by asking for it", function()
    local own = [[ credential = ml.client_secret { tenant_id = "t", client_id = "c",
      client_secret = ml.env_secret "A_SECRET" } }
      assert(tostring(kv) == "source a.acme", tostring(kv))
      return ml.policy { ml.rule "a/*" { from = kv } }]]
    load { options = "env = 'A_*'",
      a = 'local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net",' .. own }
    load { options = "env = 'A_*'",
      a = 'local kv = ml.azure_key_vault { alias = "acme", vault_url = "https://x.vault.azure.net",' .. own }
  end)
  it("that is broken refuses the policy, with its name and line", function()
    local text = refused { a = "\n\nx = = 1" }
    assert.truthy(text:find('^policy.lua:4: team "a": teams/a.lua:4:'), text)
    text = refused { a = "\nerror 'oops'" }
    assert.truthy(text:find('^policy.lua:4: team "a": teams/a.lua:3: oops'), text)
    local f = t.refused_path(script { a = "error({ code = 'missing', text = 'lies' })" })
    t.fails(nil, f, "policy", 'policy.lua:4: team "a": teams/a.lua:')
    text = refused { a = "return { ml.deny 'a/x' }" }
    assert.truthy(text:find('^policy.lua:4: team "a": teams/a.lua:'), text)
  end)
end)

describe("ml.team is checked", function()
  local function refused_entry(entry, ...)
    refused_with({ a = 'return ml.policy { ml.deny "a/x" }', behind = entry }, ...)
  end
  for entry, words in pairs {
    ["ml.team 'a' { confine = 'x', file = 'teams/a.lua' }"] = "of this name already, at policy.lua:4",
    ["ml.team 'x y' { confine = 'x', file = 'teams/a.lua' }"] = "a name of letters",
    ["ml.team { confine = 'x' } {}"] = "a name of letters",
    ["ml.team 'c' { file = 'teams/a.lua' }"] = "needs 'confine'",
    ["ml.team 'c' { confine = 'x' }"] = "needs 'file'",
    ["ml.team 'c' { confine = {}, file = 'teams/a.lua' }"] = "the list is empty",
    ["ml.team 'c' { confine = 'a**', file = 'teams/a.lua' }"] = "'a**'",
    ["ml.team 'c' { confine = 'x', file = 'teams/none.lua' }"] = "teams/none.lua cannot be read",
    ["ml.team 'c' { confine = 'x', file = '../a.lua' }"] = "not below",
    ["ml.team 'c' { confine = 'x', file = '/etc/ml/a.lua' }"] = "not below",
    ["ml.team 'c' { confine = 'x', flie = 'a' }"] = "has no option 'flie'",
    ["ml.team 'c'"] = "entry 3",
  } do
    it(entry, function() refused_entry(entry, "policy.lua:", words) end)
  end
  it("in a text, which has no directory", function()
    local f = t.refused "return ml.policy { ml.team 'c' { confine = 'x', file = 'a.lua' } }"
    t.fails(nil, f, "policy", "the policy is a text, which has no directory")
  end)
end)
