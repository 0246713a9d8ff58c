-- selftest_spec.lua - cases of a policy: what they may say, and how they fail.
local cjson = require "cjson"
local t = require "support.policy"

local HEAD = [[
  local up = ml.azure_key_vault { vault_url = "https://up.vault.azure.net" }
  local low = ml.azure_key_vault { vault_url = "https://low.vault.azure.net" }
  return ml.policy {
    ml.deny "**/root",
    ml.rule "a/*" { strip = "a/", prefix = { "{env}-", "all-" }, from = { up, low },
      on = { forbidden = "next", throttled = "default" }, default = "dflt", label = "ladder" },
    ml.rule "b/*" { strip = "b/", from = up },
    tests = { %s },
  }
]]

-- The problems of cases, an entry each; "" where it holds.
local function problems(cases)
  t.fake.reset()
  local p = t.load(HEAD:format(cases))
  local answer, f = t.run(p, "test", nil, { value = "" })
  t.ok(answer, f)
  local out = {}
  for i, r in ipairs(cjson.decode(answer.text).results) do out[i] = r.problem or "" end
  return out, p
end

local function problem(case)
  return problems(("ml.case %s"):format(case))[1]
end

local function fails_with(want, case)
  local got = problem(case)
  assert.is_truthy(got:find(want, 1, true), ("%q should say %q"):format(got, want))
end

local PROD = 'context = { env = "prod" }'
local PLAN = 'plan = { "up:prod-x", "low:prod-x", "up:all-x", "low:all-x" }'

describe("a case about the plan", function()
  it("holds", function()
    assert.equal("", problem(('"a/x" { %s, %s, rule = "ladder" }'):format(PROD, PLAN)))
    assert.equal("", problem('"b/x" { plan = "up:x" }'))
  end)
  it("tells both plans when it fails", function()
    fails_with("the plan is up:x; expected up:y", '"b/x" { plan = "up:y" }')
  end)
  it("tells the rule that decides", function()
    fails_with("decided by b/* (p.lua:8); expected ladder", '"b/x" { rule = "ladder" }')
    fails_with("decided by no rule", '"zz" { rule = "ladder" }')
  end)
  it("says why there is no plan", function()
    fails_with("{env} is not set", '"a/x" { plan = "up:x" }')
  end)
  it("may expect that there is none", function()
    assert.equal("", problem '"x/root" { outcome = "policy" }')
    assert.equal("", problem '"x/root" { rule = "deny **/root" }')
    assert.equal("", problem '"zz" { outcome = "missing" }')
    assert.equal("", problem '"a/x" { outcome = "invalid" }')
    fails_with("there is a plan (up:x); expected missing", '"b/x" { outcome = "missing" }')
  end)
end)

describe("a case about the answer", function()
  local function fakes(more, rest)
    return ('"a/x" { %s, fakes = { %s }, %s }'):format(PROD, more, rest)
  end
  it("walks over fakes", function()
    assert.equal("", problem(fakes('up = {}, low = { ["all-x"] = "v" }',
      'answer = "v", from = "low:all-x"')))
  end)
  it("finds keys of a vault in any case", function()
    assert.equal("", problem(fakes('up = { ["PROD-X"] = "v" }', 'answer = "v"')))
  end)
  it("never tells a value", function()
    local got = problem(fakes('up = { ["prod-x"] = "canary-1" }', 'answer = "canary-2"'))
    assert.equal("the value is another one than expected", got)
  end)
  it("lets outcomes do what `on` says", function()
    assert.equal("", problem(fakes('up = { ["*"] = { outcome = "forbidden" } }, '
      .. 'low = { ["*"] = "v" }', 'from = "low:prod-x"')))
    assert.equal("", problem(fakes('up = { ["*"] = { outcome = "unavailable" } }, '
      .. 'low = { ["*"] = "v" }', 'outcome = "unavailable"')))
    assert.equal("", problem(fakes('up = { ["*"] = { outcome = "throttled" } }',
      'answer = "dflt"')))
    fails_with("the outcome is unavailable", fakes(
      'up = { ["*"] = { outcome = "unavailable" } }', 'answer = "v"'))
  end)
  it("finds an older value where the case gives one", function()
    t.fake.reset()
    local p = t.load([[
      local up = ml.azure_key_vault { vault_url = "https://up.vault.azure.net" }
      return ml.policy {
        ml.rule "*" { from = up, stale_ttl = 3600, on = { unavailable = "stale" } },
        tests = {
          ml.case "x" { fakes = { up = { x = { outcome = "unavailable", stale = "old" } } },
            answer = "old", from = "up:x" },
          ml.case "x" { fakes = { up = { x = { outcome = "unavailable" } } },
            outcome = "unavailable" },
          ml.case "x" { fakes = { up = { x = { outcome = "forbidden", stale = "old" } } },
            outcome = "forbidden" },
        },
      }
    ]])
    assert.is_nil(require("moonlatch.selftest").failures(p))
  end)
  it("tells which step answered instead", function()
    fails_with("answered by up:prod-x; expected low:prod-x", fakes(
      'up = { ["prod-x"] = "v" }', 'from = "low:prod-x"'))
    fails_with("answered by the default of the rule", fakes(
      'up = {}, low = {}', 'from = "low:prod-x"'))
  end)
  it("adds up delays against timeout_ms, without waiting", function()
    local slow = 'up = { ["*"] = { outcome = "missing", delay_ms = 600 } }, '
      .. 'low = { ["*"] = { value = "v", delay_ms = 600 } }'
    assert.equal("", problem(fakes(slow, 'timeout_ms = 1200, answer = "v"')))
    assert.equal("", problem(fakes(slow, 'timeout_ms = 1199, outcome = "unavailable"')))
  end)
  it("fails when a source is asked that has no fake, or that nobody knows", function()
    fails_with("low is asked, but has no fake", fakes('up = {}', 'outcome = "missing"'))
    fails_with("no source 'lwo'; it has low, up", fakes('up = {}, lwo = {}', 'outcome = "missing"'))
  end)
  it("asks no real source", function()
    problems(("ml.case %s"):format(fakes('up = {}, low = {}', 'answer = "dflt"')))
    assert.equal("", t.asked())
  end)
end)

describe("a case is refused, with its line, when", function()
  local function refused(case, text)
    local f = t.refused(HEAD:format("\nml.case " .. case))
    assert.is_truthy(f.text:find(text, 1, true), f.text)
    assert.is_truthy(f.text:find("^p%.lua:10: "), f.text)
  end
  it("it expects nothing", function() refused('"x" { context = {} }', "expects nothing") end)
  it("it has an unknown option", function() refused('"x" { plans = "y" }', "'plans'") end)
  it("the name is no text", function() refused('(7) { plan = "y" }', "the name") end)
  it("an outcome is none", function() refused('"x" { outcome = "nope" }', "nope") end)
  it("an answer comes without fakes", function() refused('"x" { answer = "v" }', "fakes") end)
  it("an answer and a failure", function()
    refused('"x" { fakes = {}, answer = "v", outcome = "missing" }', "outcome")
  end)
  it("a fake's answer makes no sense", function()
    refused('"x" { fakes = { up = { k = {} } }, answer = "v" }', "up, key 'k'")
    refused('"x" { fakes = { up = { k = 7 } }, answer = "v" }', "up, key 'k'")
    refused('"x" { fakes = { up = { k = { value = "v", delay = 1 } } }, answer = "v" }',
      "delay")
    refused('"x" { fakes = { up = { k = { outcome = "found" } } }, answer = "v" }', "found")
  end)
end)

describe("tests = { }", function()
  it("takes nothing but cases", function()
    local f = t.refused(HEAD:format('{ "x", plan = "y" }'))
    assert.is_truthy(f.text:find("tests: element 1 is not an ml.case", 1, true), f.text)
  end)
  it("may be in a file of their own, and are then run instead", function()
    t.fake.reset()
    local p = t.load(HEAD:format 'ml.case "b/x" { plan = "up:y" }')
    local answer = t.run(p, "test", "more.lua", { value = 'local ml = require '
      .. '"moonlatch.policy"\nreturn { ml.case "b/x" { plan = "up:x" } }' })
    assert.equal('{"results":[{"name":"b/x","where":"more.lua:2"}]}\n', answer.text)
  end)
  it("in a file that is broken are a policy error with its line", function()
    t.fake.reset()
    local p = t.load(HEAD:format "")
    local answer, f = t.run(p, "test", "more.lua", { value = "return {" })
    t.fails(answer, f, "policy", "more.lua:1:")
    answer, f = t.run(p, "test", "more.lua", { value = "\nreturn 7" })
    t.fails(answer, f, "policy", "a list of ml.case is needed")
  end)
  it("have no more time in a reload than others can wait", function()
    local selftest = require "moonlatch.selftest"
    t.fake.reset()
    local cases = {}
    for i = 1, 20 do cases[i] = ('ml.case "x%d" { plan = "up:x%d" }'):format(i, i) end
    local p = t.load('return ml.policy { ml.rule "*" { from = ml.environment { alias = "up" } }, '
      .. "tests = { " .. table.concat(cases, ", ") .. " } }", {})
    assert.is_nil(selftest.failures(p))
    t.fake.tick = 1000
    local why = selftest.failures(p)
    t.fake.tick = nil
    assert.truthy(why:find('of "x6" fails: the cases before it took more than 5000 ms', 1, true), why)
    assert.truthy(why:find("(and 14 more)", 1, true), why)
  end)
  it("say in one line what fails, for reload", function()
    local selftest = require "moonlatch.selftest"
    local _, p = problems 'ml.case "b/x" { plan = "up:y" }, ml.case "b/y" { plan = "up:x" }'
    assert.equal('p.lua:9: the policy\'s own test of "b/x" fails: the plan is up:x; expected '
      .. "up:y (and 1 more)", selftest.failures(p))
    _, p = problems 'ml.case "b/x" { plan = "up:x" }'
    assert.is_nil(selftest.failures(p))
  end)
end)
