-- keep_spec.lua - ttl, negative_ttl, stale_ttl and stale: checked, and handed to sources.
local cjson = require "cjson"
local t = require "support.policy"
local fake = t.fake

local SECOND = "https://low.vault.azure.net"

-- A policy of two vaults; upper and lower answer x so.
local function two(upper, lower, options)
  fake.reset { vaults = { [t.URL] = { x = upper }, [SECOND] = { x = lower } } }
  return t.load(([[
    local up = ml.azure_key_vault { vault_url = "%s", alias = "up" }
    local low = ml.azure_key_vault { vault_url = "%s" }
    return ml.policy { ml.rule "x" { from = { up, low }, %s } }
  ]]):format(t.URL, SECOND, options))
end

local function refused(options, text)
  local f = t.refused(([[
    return ml.policy { ml.rule "x" { from = ml.environment {}, %s } }]]):format(options), {})
  assert.equal("policy", f.code)
  assert.truthy(f.text:find(text, 1, true), f.text)
  assert.truthy(f.text:find("p.lua:2", 1, true), f.text)
end

local function kept_with(options)
  t.get(two("v", nil, options), "x")
  return fake.calls[1][4].keep
end

local DOWN = { fails = "unavailable", text = "dead" }
local BUSY = { fails = "throttled", text = "slow down" }
local STALE = "on = { throttled = 'stale', unavailable = 'stale' }"

describe("ttl, negative_ttl and stale_ttl", function()
  it("reach the source as milliseconds", function()
    assert.same({ ttl_ms = 300000, negative_ttl_ms = 500 },
      kept_with "ttl = 300, negative_ttl = 0.5")
    assert.same({ ttl_ms = 0 }, kept_with "ttl = 0")
    assert.same({ ttl_ms = 1 }, kept_with "ttl = 0.0001")
    assert.same({ stale_ttl_ms = 3600000, stale_unavailable = true },
      kept_with "stale_ttl = 3600, on = { unavailable = 'stale' }")
  end)
  it("say nothing when the rule does not", function()
    assert.is_nil(kept_with "label = 'l'")
  end)
  it("go with steps of map", function()
    fake.reset { vaults = { [t.URL] = { x = "v" } } }
    local p = t.load([[
      local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }
      return ml.policy { ml.rule "x" { map = function() return kv:key("x") end, ttl = 1 } }]])
    t.get(p, "x")
    assert.same({ ttl_ms = 1000 }, fake.calls[1][4].keep)
  end)
  it("are numbers that make sense", function()
    for _, v in ipairs { "'1'", "-1", "0/0", "1/0", "1e12", "true" } do
      refused("ttl = " .. v, "'ttl': seconds are needed")
      refused("negative_ttl = " .. v, "'negative_ttl': seconds are needed")
      refused("stale_ttl = " .. v, "'stale_ttl': seconds are needed")
    end
  end)
  it("fit each other", function()
    refused("stale_ttl = 10", "no use without on = ")
    refused("ttl = 10, stale_ttl = 10, " .. STALE, "must be longer than 'ttl'")
  end)
end)

describe("stale", function()
  it("is for outages only", function()
    for _, outcome in ipairs { "missing", "disabled", "forbidden", "unauthenticated",
      "invalid", "policy" } do
      refused(("on = { %s = 'stale' }"):format(outcome), "only where the source is throttled")
    end
  end)
  for name, failure in pairs { throttled = BUSY, unavailable = DOWN } do
    it("answers for " .. name .. " with what the source confirmed last", function()
      local p = two(failure, "lower", STALE .. ", stale_ttl = 400")
      fake.keep("up:x", { secret = fake.secret("old", { source = "up", key = "x" }),
        age_ms = 312400 })
      assert.equal("up:x=old", t.get(p, "x"))
      assert.equal("get up:x", t.asked())
      assert.same({ key = "x", max_age_ms = 400000 }, fake.stale_asked)
      local seen = {}
      for _, line in ipairs(fake.logs) do seen[#seen + 1] = table.concat(line, " ") end
      assert.truthy(table.concat(seen, "\n"):find("warn resolve x: up:x is " .. name
        .. ": answered with a stale value, 312 s old", 1, true))
    end)
    it("stops on " .. name .. " without a value, or with one too old", function()
      local v, f = t.get(two(failure, "lower", STALE), "x")
      t.fails(v, f, name)
      local p = two(failure, "lower", STALE .. ", stale_ttl = 100")
      fake.keep("up:x", { secret = fake.secret("old"), age_ms = 100001 })
      v, f = t.get(p, "x")
      t.fails(v, f, name)
      assert.equal("get up:x", t.asked())
    end)
  end
  it("is not looked for when the source says anything else", function()
    for _, code in ipairs { "missing", "forbidden", "disabled", "unauthenticated" } do
      local p = two({ fails = code }, { fails = code }, STALE)
      fake.keep("up:x", { secret = fake.secret("old"), age_ms = 1 })
      local v, f = t.get(p, "x")
      t.fails(v, f, code)
      assert.is_nil(fake.stale_asked)
    end
  end)
  it("is not looked for when the rule does not say so", function()
    local p = two(DOWN, "lower", "on = { throttled = 'stale' }")
    fake.keep("up:x", { secret = fake.secret("old"), age_ms = 1 })
    local v, f = t.get(p, "x")
    t.fails(v, f, "unavailable")
    assert.is_nil(fake.stale_asked)
  end)
  it("asks for the version of the call", function()
    t.run(two(DOWN, nil, STALE), "get", "x", { version = "v7" })
    assert.equal("v7", fake.stale_asked.version)
  end)
end)

describe("the answer is kept", function()
  it("as long as its sources say, when one had it", function()
    t.get(two("v", nil, "default = 'd'"), "x")
    assert.is_nil(fake.keep_at_most)
  end)
  it("as long as a missing, when it is the default", function()
    t.get(two(nil, nil, "default = 'd'"), "x")
    assert.is_false(fake.keep_at_most)
    t.get(two(nil, nil, "default = 'd', negative_ttl = 3"), "x")
    assert.equal(3000, fake.keep_at_most)
  end)
  it("not at all, when it is the default because of a failure", function()
    t.get(two(DOWN, nil, "default = 'd', on = { unavailable = 'default' }"), "x")
    assert.equal(0, fake.keep_at_most)
  end)
end)

describe("refresh", function()
  it("reaches every source that is asked", function()
    t.run(two(nil, "v", "ttl = 1"), "get", "x", { refresh = true })
    assert.is_true(fake.calls[1][4].refresh)
    assert.is_true(fake.calls[2][4].refresh)
    assert.equal("x", fake.calls[2][4].name)
  end)
  it("is meant by put when it reads what it keeps", function()
    t.run(two("v", nil, "ttl = 1"), "put", "x", { value = fake.secret("w") })
    assert.equal("get", fake.calls[1][1])
    assert.is_true(fake.calls[1][4].refresh)
  end)
end)

describe("explain", function()
  local function explained(states, more, upper)
    local p = two(upper or "v", nil, STALE)
    for place, k in pairs(states) do fake.keep(place, k) end
    local answer, f = t.run(p, "explain", "x", more)
    t.ok(answer, f)
    return answer.text
  end
  it("shows what is kept of each step", function()
    local text = explained { ["up:x"] = { state = "fresh", ms = 42000 },
      ["low:x"] = { state = "negative", ms = 1500 } }
    assert.truthy(text:find("cache: fresh for another 42.0 s", 1, true), text)
    assert.truthy(text:find("cache: missing for another 1.5 s", 1, true), text)
    text = explained({ ["up:x"] = { state = "stale", ms = 100000 },
      ["low:x"] = { state = "empty", ms = 0 } }, { plan_only = true })
    assert.truthy(text:find("cache: stale, 100.0 s old", 1, true), text)
    assert.truthy(text:find("cache: none", 1, true), text)
  end)
  it("shows a stale answer as such", function()
    local states = { ["up:x"] = { state = "resting", ms = 900, age_ms = 65000,
      secret = fake.secret("OLD", { source = "up", key = "x", version = "7" }) } }
    local text = explained(states, nil, BUSY)
    assert.truthy(text:find("throttled  5 ms  -> stale, 65 s old", 1, true), text)
    assert.truthy(text:find("answer: found in up:x version 7, stale, 65 s old", 1, true), text)
    local trace = cjson.decode(explained(states, { json = true }, BUSY))
    assert.equal(65000, trace.steps[1].stale_ms)
    assert.same({ state = "resting", ms = 900 }, trace.steps[1].cache)
    assert.equal("stale", trace.steps[1].action)
    assert.equal(65000, trace.result.stale_ms)
  end)
end)
