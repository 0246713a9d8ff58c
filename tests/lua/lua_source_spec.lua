-- Sources that policies write in Lua: what their functions may return, what that means,
-- and what becomes of everything else.
local t = require "support.policy"
local tools = require "support.fake_tools"

local fake = t.fake

local function load_source(body, script)
  tools.reset(script)
  return t.load(body, {})
end

-- A policy whose get is this text.
local function with_get(get, more)
  return load_source(([[
    local s = ml.source { alias = "mine", %s get = function(key, ctx) %s end }
    return ml.policy { ml.rule "**" { from = { s, ml.environment {} } } }
  ]]):format(more or "", get))
end

describe("get", function()
  it("answers with a secret or a string", function()
    assert.equal("mine:a=text of a", t.get(with_get 'return "text of " .. key', "a"))
    assert.equal("mine:a=x", t.get(with_get 'return ml.secret_text { "x" }', "a"))
    assert.equal("mine:a=", t.get(with_get 'return ""', "a"))
  end)

  it("says more about it", function()
    local p = with_get 'return "x", { version = 3, content_type = "t", tags = { a = "b" } }'
    local s = t.run(p, "get", "a")
    assert.same({ "3", "t", { a = "b" } }, { s:version(), s:content_type(), s:tags() })
  end)

  it("gets the version, the time left and the memo, and no context", function()
    local p = load_source [[
      local s = ml.source { get = function(key, ctx)
        local names = {}
        for k in pairs(ctx) do names[#names + 1] = k end
        table.sort(names)
        return table.concat(names, " ") .. " " .. ctx.version .. " " .. ctx.deadline_ms
      end }
      return ml.policy { ml.rule "**" { map = function() return s:key("a", "7") end } }
    ]]
    assert.equal("lua:a=deadline_ms memo version 7 1234", t.get(p, "x", { team = "blue" }))
  end)

  it("names the outcome of a failure", function()
    for outcome, code in pairs { forbidden = "forbidden", unauthenticated = "unauthenticated",
      throttled = "throttled", unavailable = "unavailable", disabled = "disabled",
      invalid = "invalid" } do
      fake.reset { env = { a = "from the environment" } }
      local p = with_get(('return nil, "%s", "why"'):format(outcome))
      local value, f = t.get(p, "a")
      t.fails(value, f, code, "mine: why")
      assert.equal("mine", f.source)
      assert.equal("a", f.key)
    end
  end)

  it("goes on to the next step only when it says missing", function()
    tools.reset()
    local p = t.load([[
      local s = ml.source { get = function() return nil, "missing" end }
      return ml.policy { ml.rule "**" { from = { s, ml.environment {} } } }
    ]], { env = { a = "next" } })
    assert.equal("environment:a=next", t.get(p, "a"))
  end)

  it("tells how long to wait", function()
    local value, f = t.get(with_get 'return nil, "throttled", "slow down", 700', "a")
    t.fails(value, f, "throttled")
    assert.equal(700, f.retry_after_ms)
  end)

  local wrong = {
    { "return nil", "p.lua:2: get of the source mine returned nil without a word" },
    { "return", "returned nil without a word" },
    { "return false", "returned nil without a word" },
    { 'return nil, "gone"', "returned nil without a word" },
    { 'return nil, "found"', "returned nil without a word" },
    { 'return nil, "missing", {}', "a text that is no string" },
    { "return 42", "returned a number: a secret or a string is needed" },
    { "return {}", "returned a table" },
    { 'return "x", 1', "returned more than a value, and no table" },
    { 'error "oops"', "p.lua:2: get of the source mine failed: oops" },
    { "error { code = 'missing', text = 'not here' }",
      "p.lua:2: get of the source mine failed: not here" },
    { "error {}", "p.lua:2: get of the source mine failed: the policy raised a table" },
    { "local x = nil; return x.y", "p.lua:2: get of the source mine failed: attempt to index" },
    { 'error(("x"):rep(5000))', "xxx..." },
  }
  for _, case in ipairs(wrong) do
    it("is the policy's fault when it does: " .. case[1], function()
      fake.reset { env = { a = "from the environment" } }
      local value, f = t.get(with_get(case[1]), "a")
      t.fails(value, f, "policy", case[2])
      assert.is_true(#f.text < 500)
    end)
  end
end)

describe("rights", function()
  it("are there inside only, and programs need exec", function()
    local seen
    tools.reset { answer = function() seen = tools.rights() return { status = 200 } end,
                  run = function() seen = tools.rights() return { status = 0 } end,
                  allow_exec = true }
    local body = [[
      local s = ml.source { %s get = function() ml.http {} return "x" end }
      return ml.policy { ml.rule "**" { from = s } }
    ]]
    assert(t.get(t.load(body:format "", {}), "a"))
    assert.equal(1, seen)
    assert(t.get(t.load(body:format "exec = true,", {}), "a"))
    assert.equal(3, seen)
    assert.equal(0, tools.rights())
    t.get(t.load((body:format ""):gsub('return "x"', "error 'x'"), {}), "a")
    assert.equal(0, tools.rights())
  end)

  it("exec is refused at load where the host does not allow it", function()
    tools.reset()
    local f = t.refused([[ml.source { alias = "p", exec = true, get = function() end }]], {})
    t.fails(nil, f, "policy", "p.lua:2: the source p runs programs")
  end)
end)

describe("check", function()
  local function checked(check)
    return load_source(([[
      local s = ml.source { alias = "mine", get = function(key) return key end,
                            check = function(key) %s end }
      return ml.policy { ml.rule "**" { from = s } }
    ]]):format(check))
  end

  it("refuses keys before anything is asked", function()
    local value, f = t.get(checked 'if key ~= "a" then return "only a" end', "b")
    t.fails(value, f, "invalid" and "usage", "only a")
    assert.equal("mine:a=a", t.get(checked 'if key ~= "a" then return "only a" end', "a"))
  end)

  it("that fails refuses, and says where", function()
    local value, f = t.get(checked "error 'no'", "b")
    t.fails(value, f, "usage", "p.lua:3: check of the source mine failed: no")
  end)
end)

describe("other verbs", function()
  it("list maps keys back to names", function()
    local p = load_source [[
      local s = ml.source { alias = "mine", get = function() return "x" end, list = function()
        return { "app-a", { key = "app-b", version = 2, tags = { x = "y" } } } end }
      return ml.policy { ml.rule "a/*" { strip = "a/", prefix = "app-", from = s } }
    ]]
    local names, answer = t.names(p)
    assert.equal("a/a a/b", names)
    assert.equal("2", answer.secrets[2]:version())
  end)

  it("list fails as get does", function()
    local function listing(text)
      return load_source(([[
        local s = ml.source { get = function() return "x" end, list = function() %s end }
        return ml.policy { ml.rule "**" { from = s } }
      ]]):format(text))
    end
    local value, f = t.names(listing 'return nil, "forbidden", "no"')
    t.fails(value, f, "forbidden", "lua: no")
    value, f = t.names(listing "return { 1 }")
    t.fails(value, f, "policy", "element 1 without a key")
    value, f = t.names(listing "return nil")
    t.fails(value, f, "policy", "without a word")
  end)

  it("without list it is not listed, and that is said", function()
    local names, answer = t.names(with_get 'return "x"')
    assert.equal("", names)
    assert.truthy(answer.text:find("mine (lua) cannot list", 1, true))
  end)

  it("put and delete change it", function()
    local p = load_source [[
      local kept = {}
      local s = ml.source { alias = "mine",
        get = function(key)
          if kept[key] then return kept[key], { content_type = "t" } end
          return nil, "missing"
        end,
        put = function(key, value, ctx)
          kept[key] = value
          return true, { version = ctx.content_type or "none" }
        end,
        delete = function(key) kept[key] = nil return true end }
      return ml.policy { ml.rule "**" { from = s } }
    ]]
    local answer = t.run(p, "put", "a", { value = fake.secret "new" })
    assert.equal("none", answer.secrets[1]:version())
    assert.equal("mine:a=new", t.get(p, "a"))
    answer = t.run(p, "put", "a", { value = fake.secret "newer" })
    assert.equal("t", answer.secrets[1]:version())
    assert(t.run(p, "delete", "a"))
    t.fails(t.get(p, "a"), select(2, t.get(p, "a")), "missing")
    local value, f = t.run(p, "purge", "a")
    t.fails(value, f, "usage", "the source mine (lua) cannot purge")
  end)

  it("without put it is read-only", function()
    local value, f = t.run(with_get 'return "x"', "put", "a", { value = fake.secret "x" })
    t.fails(value, f, "usage", "no source that can be written: mine (lua)")
  end)
end)

describe("memo", function()
  it("keeps what once brings, and shares failures with nobody later", function()
    local p = load_source [[
      local logins = 0
      local s = ml.source { alias = "mine", get = function(key, ctx)
        local token, outcome, text = ctx.memo:once("token", function()
          logins = logins + 1
          if logins == 1 then return nil, "unauthenticated", "first" end
          return ml.secret_text { "t" .. logins }, 60
        end)
        if key == "drop" then ctx.memo:drop "token" end
        if not token then return nil, outcome, text end
        return token
      end }
      return ml.policy { ml.rule "**" { from = s } }
    ]]
    local value, f = t.get(p, "a")
    t.fails(value, f, "unauthenticated", "mine: first")
    assert.equal("mine:a=t2", t.get(p, "a"))
    assert.equal("mine:drop=t2", t.get(p, "drop"))
    assert.equal("mine:a=t3", t.get(p, "a"))
  end)
end)

describe("names of a memo", function()
  it("that come and go leave nothing behind", function()
    local p = load_source [[
      local s = ml.source { get = function(key, ctx)
        return ctx.memo:once(key, function() return ml.secret_text { "x" }, 0 end)
      end }
      return ml.policy { ml.rule "**" { from = s } }
    ]]
    local function used_by(first, last)
      for i = first, last do assert.equal("lua:k" .. i .. "=x", t.get(p, "k" .. i)) end
      fake.calls, fake.logs = {}, {}
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = used_by(1, 100)
    assert.is_true(used_by(101, 5000) - before < 100)
  end)
end)

describe("the constructor", function()
  it("is strict", function()
    tools.reset()
    local cases = {
      { "ml.source {}", "ml.source needs 'get'" },
      { "ml.source { get = 1 }", "option 'get': a function is needed" },
      { "ml.source { get = print, lst = 1 }", "no option 'lst'" },
      { "ml.source { get = function() end, alias = 'a b' }", "option 'alias'" },
      { "ml.source 'x'", "needs a table of options" },
    }
    for _, case in ipairs(cases) do
      t.fails(nil, t.refused(case[1], {}), "policy", case[2])
    end
  end)

  it("gives each its alias", function()
    local p = load_source [[
      local get = function() return "x" end
      local a, b = ml.source { get = get }, ml.source { get = get }
      return ml.policy { ml.rule "**" { from = { a, b } } }
    ]]
    assert.equal("lua:x lua-2:x", t.plan(p, "x"))
  end)
end)

describe("require", function()
  it("knows the shipped sources, and nothing else of ours", function()
    tools.reset()
    t.fails(nil, t.refused('require "moonlatch.engine"', {}), "policy", "p.lua:2: require:")
    t.fails(nil, t.refused('require "moonlatch.source.nope"', {}), "policy", "not 'moonlatch.source.nope'")
    t.fails(nil, t.refused('require "moonlatch.source.../engine"', {}), "policy", "require:")
    t.fails(nil, t.refused("require {}", {}), "policy", "require:")
  end)

  it("loads them once, into the sandbox", function()
    local p = load_source [[
      local a, b = require "moonlatch.source.vault", require "moonlatch.source.vault"
      if a ~= b or type(a) ~= "function" or os then error "no" end
      return ml.policy { ml.rule "**" { from = ml.environment {} } }
    ]]
    assert.truthy(p)
  end)

  it("they refuse what cannot work at the user's line", function()
    tools.reset { allow_exec = true }
    local cases = {
      { 'require "moonlatch.source.vault" {}', "vault: the option 'url' is needed" },
      { 'require "moonlatch.source.vault" { url = "x" }', "one of 'token' and 'approle'" },
      { 'require "moonlatch.source.vault" { url = "x", token = "t" }', "needs ml.env_secret" },
      { 'require "moonlatch.source.vault" { url = "x", approle = {} }', "role_id and secret_id" },
      { 'require "moonlatch.source.vault" { ulr = "x" }', "no option 'ulr'" },
      { 'require "moonlatch.source.aws" { region = "x" }', "'access_key_id' is needed" },
      { 'require "moonlatch.source.aws" { secret_access_key = "x" }', "needs ml.env_secret" },
      { 'require "moonlatch.source.exec" { argv = { "pass" } }', "a whole path" },
    }
    for _, case in ipairs(cases) do
      local f = t.refused(case[1], {})
      t.fails(nil, f, "policy", case[2])
      assert.truthy(f.text:find("^p.lua:2: "), f.text)
    end
  end)
end)

describe("in the file of a team", function()
  local function load_team(allow, body)
    tools.reset { allow_exec = true, answer = function() return { status = 200 } end,
                  run = function() return { status = 0 } end }
    return t.load_path { files = {
      ["/etc/ml/policy.lua"] = 'local ml = require "moonlatch.policy"\n'
        .. ('return ml.policy { ml.team "a" { confine = "a/**", file = "a.lua", %s } }'):format(allow),
      ["/etc/ml/a.lua"] = 'local ml = require "moonlatch.policy"\n' .. body,
    } }
  end
  local BODY = [[
    local s = ml.source { exec = true, get = function() %s return "x" end }
    return ml.policy { ml.rule "**" { from = s } }
  ]]

  it("they are closed until the policy opens them", function()
    local fine, f = pcall(load_team, "", BODY:format "ml.http {}")
    assert.is_false(fine)
    assert.truthy(f.text:find("ml.source is not open to team", 1, true), f.text)
    local p = load_team('allow = "source"', BODY:format "ml.http {}")
    assert.truthy(t.get(p, "a/x"))
  end)

  it("programs are opened apart", function()
    local value, problem = t.get(load_team('allow = "source"', BODY:format "ml.exec {}"), "a/x")
    t.fails(value, problem, "policy", "ml.exec is not open to team")
    assert.truthy(t.get(load_team('allow = { "source", "exec" }', BODY:format "ml.exec {}"), "a/x"))
  end)
end)
