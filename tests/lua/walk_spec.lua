-- walk_spec.lua - the walk over a plan.  An outage or a refusal never looks like absence.
local t = require "support.policy"
local fake = t.fake

local URLS = { "https://up.vault.azure.net", "https://low.vault.azure.net" }

-- A policy of two vaults, with more options for the rule; upper and lower answer x so.
local function two(upper, lower, more)
  fake.reset { vaults = { [URLS[1]] = { x = upper }, [URLS[2]] = { x = lower } } }
  return t.load(([[
    local up = ml.azure_key_vault { vault_url = "%s" }
    local low = ml.azure_key_vault { vault_url = "%s" }
    return ml.policy { ml.rule "x" { from = { up, low }, %s } }
  ]]):format(URLS[1], URLS[2], more or ""))
end

local FAILURES = { "forbidden", "throttled", "unavailable", "disabled", "unauthenticated",
  "invalid", "policy", "canceled", "conflict", "usage", "nomem" }

describe("a walk", function()
  it("stops at the first found", function()
    assert.equal("up:x=1", t.get(two("1", "2"), "x"))
    assert.equal("get up:x", t.asked())
  end)
  it("goes on after missing", function()
    assert.equal("low:x=2", t.get(two(nil, "2"), "x"))
    assert.equal("get up:x, get low:x", t.asked())
  end)
  it("lists all that was tried when all are missing", function()
    local v, f = t.get(two(nil, nil), "x")
    t.fails(v, f, "missing", '"x" is missing: tried up:x, low:x (p.lua:4)')
  end)
  it("tells of the version that was tried", function()
    local v, f = t.run(two(nil, nil), "get", "x", { version = "7" })
    t.fails(v, f, "missing", '"x" is missing: tried up:x@7, low:x@7 (p.lua:4)')
  end)
  it("gives the secret its logical name", function()
    local answer = t.run(two("1"), "get", "x")
    assert.equal("x", answer:name())
  end)
  it("works without a context", function()
    assert.is_table(t.engine.run(two("1"), { verb = "get", name = "x" }))
  end)
  it("does not know other verbs", function()
    local v, f = t.run(two("1"), "frob", "x")
    t.fails(v, f, "usage", "frob")
  end)
end)

describe("the lower layer does not answer for an upper that is", function()
  for _, code in ipairs(FAILURES) do
    it(code, function()
      local v, f = t.get(two({ fails = code, http_status = 418, text = "why" }, "2"), "x")
      t.fails(v, f, code, "why")
      assert.equal("up", f.source)
      assert.equal("x", f.key)
      assert.equal(418, f.http_status)
      assert.equal("get up:x", t.asked())
    end)
  end
  it("missing, when on.missing = stop", function()
    local v, f = t.get(two(nil, "2", "on = { missing = 'stop' }"), "x")
    t.fails(v, f, "missing")
    assert.equal("get up:x", t.asked())
  end)
  it("throttled, when on.throttled = stale and nothing is stored", function()
    local v, f = t.get(two({ fails = "throttled" }, "2", "on = { throttled = 'stale' }"), "x")
    t.fails(v, f, "throttled")
  end)
  it("canceled, whatever on says about others", function()
    local p = two({ fails = "canceled" }, "2", "on = { unavailable = 'next' }")
    local v, f = t.get(p, "x")
    t.fails(v, f, "canceled")
  end)
end)

describe("on = next lets", function()
  for _, code in ipairs { "forbidden", "throttled", "unavailable", "disabled",
    "unauthenticated", "invalid", "policy" } do
    local on = ("on = { %s = 'next' }"):format(code)
    it(code .. " pass", function()
      assert.equal("low:x=2", t.get(two({ fails = code }, "2", on), "x"))
    end)
    it(code .. " pass, but it is not forgotten when the rest is missing", function()
      local v, f = t.get(two({ fails = code }, nil, on), "x")
      t.fails(v, f, code, "no later step has it")
      assert.equal("up", f.source)
    end)
    it(code .. " pass, but not another failure", function()
      local other = code == "forbidden" and "disabled" or "forbidden"
      local v, f = t.get(two({ fails = other }, "2", on), "x")
      t.fails(v, f, other)
    end)
  end
  it("missing still go on", function()
    local p = two(nil, "2", "on = { forbidden = 'next' }")
    assert.equal("low:x=2", t.get(p, "x"))
  end)
end)

describe("a default", function()
  local function value(p)
    local answer, f = t.run(p, "get", "x")
    return answer and fake.reveal(answer), f
  end
  it("answers when every step is missing", function()
    assert.equal("d", (value(two(nil, nil, "default = 'd'"))))
  end)
  it("may be empty", function()
    assert.equal("", (value(two(nil, nil, "default = ''"))))
  end)
  it("has the logical name", function()
    local answer = t.run(two(nil, nil, "default = 'd'"), "get", "x")
    assert.equal("x", answer:name())
  end)
  it("does not answer for a failure", function()
    for _, code in ipairs(FAILURES) do
      local v, f = value(two({ fails = code }, nil, "default = 'd'"))
      t.fails(v, f, code)
    end
  end)
  it("does not answer for a failure that was let pass", function()
    local v, f = value(two({ fails = "forbidden" }, nil,
      "default = 'd', on = { forbidden = 'next' }"))
    t.fails(v, f, "forbidden")
  end)
  it("answers for a failure when on says so, without asking further", function()
    local p = two({ fails = "unavailable" }, "2",
      "default = 'd', on = { unavailable = 'default' }")
    assert.equal("d", (value(p)))
    assert.equal("get up:x", t.asked())
  end)
  it("may be an opaque secret", function()
    fake.reset { env = { D = "hunter2" } }
    local p = t.load [[return ml.policy { ml.rule "x" {
      from = ml.environment {}, default = ml.env_secret "D" } }]]
    assert.equal("hunter2", (value(p)))
  end)
end)

describe("a version", function()
  local function pinned()
    fake.reset { vaults = { [t.URL] = { x = "1" } } }
    return t.load [[
      local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }
      return ml.policy {
        ml.rule "pin" { map = function() return kv:key("x", "v7") end },
        ml.rule "x" { from = kv } }
    ]]
  end
  it("of the policy is asked for", function()
    t.ok(t.run(pinned(), "get", "pin"))
    assert.equal("v7", fake.calls[1][4].version)
  end)
  it("of the caller is asked for", function()
    t.ok(t.run(pinned(), "get", "x", { version = "v3" }))
    assert.equal("v3", fake.calls[1][4].version)
  end)
  it("cannot be both", function()
    local v, f = t.run(pinned(), "get", "pin", { version = "v3" })
    t.fails(v, f, "usage", "another version")
    assert.equal(0, #fake.calls)
  end)
end)
