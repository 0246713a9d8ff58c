-- explain_spec.lua - the trace as text and as JSON; never a value in it.
local cjson = require "cjson"
local t = require "support.policy"
local fake = t.fake

local function load()
  fake.reset { vaults = {
    ["https://up.vault.azure.net"] = {
      busy = { fails = "throttled", http_status = 429, service_code = "Throttled",
        request_id = "r-1", text = "slow down" },
    },
    ["https://low.vault.azure.net"] = { x = "CANARY", busy = "CANARY", ["d-y"] = "CANARY" },
  } }
  return t.load [[
    local up = ml.azure_key_vault { vault_url = "https://up.vault.azure.net" }
    local low = ml.azure_key_vault { vault_url = "https://low.vault.azure.net" }
    return ml.policy {
      ml.deny "**/root-*",
      ml.rule "d/*" { from = low, strip = "d/", prefix = "d-", default = "CANARY" },
      ml.rule "*" { from = { up, low }, on = { disabled = "next" } },
    }
  ]]
end

local function explain(name, more)
  local answer, f = t.run(load(), "explain", name, more)
  t.ok(answer, f)
  assert.is_nil(answer.text:find("CANARY", 1, true))
  assert.is_nil(answer.secrets)
  return answer.text
end

local function decoded(name, more)
  more = more or {}
  more.json = true
  local text = explain(name, more)
  assert.equal("\n", text:sub(-1))
  return cjson.decode(text), text
end

describe("explain for people", function()
  it("shows rules, plan, walk and answer", function()
    assert.equal([[
  name     x
  context  env=qa team=a

rules
  1  p.lua:5  deny **/root-*  no match: pattern
  2  p.lua:6  d/*             no match: pattern
  3  p.lua:7  *               matches

plan
  1  up   x    https://up.vault.azure.net   disabled: next
  2  low  x    https://low.vault.azure.net  disabled: next

walk
  1  up:x   missing  5 ms  -> next    404
  2  low:x  found    5 ms  -> answer

answer: found in low:x version 1
]], explain("x", { context = { team = "a", env = "qa" } }))
  end)
  it("says that later steps were not asked", function()
    local text = explain("busy")
    assert.truthy(text:find("1  up:busy   throttled  5 ms  -> stop  429 Throttled request r-1",
      1, true), text)
    assert.truthy(text:find("2  low:busy  not asked", 1, true), text)
    assert.truthy(text:find("\nanswer: throttled: slow down\n", 1, true), text)
    assert.equal("get up:busy", t.asked())
  end)
  it("asks nobody when only the plan is wanted", function()
    local text = explain("x", { plan_only = true })
    assert.equal(0, #fake.calls)
    assert.truthy(text:find("answer: not asked", 1, true), text)
  end)
  it("checks keys even then", function()
    local text = explain("a_b", { plan_only = true })
    assert.truthy(text:find("refused: a Key Vault secret name", 1, true), text)
    assert.truthy(text:find("answer: invalid: p.lua:7: up cannot have", 1, true), text)
  end)
  it("shows a denial and a name that no rule matches", function()
    local text = explain("a/root-x")
    assert.truthy(text:find('answer: policy: p.lua:5: "a/root-x" is denied', 1, true), text)
    text = explain("a/b/c")
    assert.truthy(text:find("answer: missing: no rule", 1, true), text)
  end)
  it("shows that the default answered", function()
    assert.truthy(explain("d/no"):find("answer: found, the default of the rule", 1, true))
  end)
  it("lets no name move the cursor", function()
    assert.is_nil(explain("\27[2Jx"):find("\27", 1, true))
  end)
  it("shows what happened meanwhile", function()
    local p = load()
    local get = fake.core.events
    local round = 0
    fake.core.events = function()
      round = round + 1
      return round == 2 and { { at_ms = 3, what = "http", text = "GET up 404" } } or {}
    end
    local answer = t.run(p, "explain", "x")
    fake.core.events = get
    assert.truthy(answer.text:find("\nevents\n  1  3 ms  http  GET up 404\n", 1, true),
      answer.text)
  end)
end)

describe("explain as JSON", function()
  it("has rules, steps and the result", function()
    local j = decoded("x", { context = { env = "qa" } })
    assert.equal("x", j.name)
    assert.equal("qa", j.context.env)
    assert.same({ index = 3, where = "p.lua:7", kind = "rule", label = "*", matched = true,
      inverse = true }, j.rules[3])
    assert.equal("pattern", j.rules[1].why)
    assert.equal("missing", j.steps[1].outcome)
    assert.equal("next", j.steps[1].action)
    assert.equal(404, j.steps[1].http_status)
    assert.equal("next", j.steps[1].on.disabled)
    assert.equal("found", j.steps[2].outcome)
    assert.equal(5, j.steps[2].ms)
    assert.same({ outcome = "found", source = "low", key = "x", version = "1" }, j.result)
  end)
  it("is the same text every time", function()
    local _, first = decoded("x", { context = { a = "1", b = "2", c = "3", d = "4" } })
    local _, second = decoded("x", { context = { d = "4", c = "3", b = "2", a = "1" } })
    assert.equal(first, second)
    assert.equal('{"name":"x","context":{"a":"1",', first:sub(1, 31))
    assert.truthy(first:find("https://up.vault", 1, true))
  end)
  it("is UTF-8, whatever the name is", function()
    local j = decoded("\xc3\xa9\xff", { plan_only = true })
    assert.equal("???", j.name)
    j = decoded("\xc3\xa9", { plan_only = true })
    assert.equal("\xc3\xa9", j.name)
  end)
  it("says what stopped the walk", function()
    local j = decoded("busy")
    assert.equal("throttled", j.result.outcome)
    assert.equal("up", j.result.source)
    assert.equal("r-1", j.steps[1].request_id)
    assert.is_nil(j.steps[2].outcome)
  end)
  it("of a plan has no result", function()
    local j = decoded("x", { plan_only = true })
    assert.is_true(j.plan_only)
    assert.is_nil(j.result)
    assert.equal(2, #j.steps)
  end)
  it("tells the default", function()
    local j = decoded("d/no")
    assert.is_true(j.result.default)
  end)
  it("escapes what JSON must", function()
    assert.equal('a"b\\c\1', decoded('a"b\\c\1').name)
  end)
end)
