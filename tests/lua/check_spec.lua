-- check_spec.lua - what `policy check` finds, and what it must not find.
local cjson = require "cjson"
local t = require "support.policy"
local witness = require "moonlatch.witness"
local match = require "moonlatch.match"

local HEAD = [[
  local kv = ml.azure_key_vault { vault_url = "https://kv.vault.azure.net" }
  local env = ml.environment {}
  return ml.policy {
    %s
  }
]]

local function check(rules, names, context)
  t.fake.reset()
  t.fake.tick = 100
  local p = t.load(HEAD:format(rules))
  local answer, f = t.run(p, "check", "names.txt",
    { value = table.concat(names or {}, "\n"), context = context })
  t.fake.tick = nil
  t.ok(answer, f)
  return cjson.decode(answer.text)
end

-- "severity what" of every finding but those about unused sources.
local function found(rules, names, context)
  local words = {}
  for _, f in ipairs(check(rules, names, context).findings) do
    if f.what ~= "unused-source" then words[#words + 1] = f.severity .. " " .. f.what end
  end
  return table.concat(words, ", ")
end

local function text_of(what, rules, names, context)
  for _, f in ipairs(check(rules, names, context).findings) do
    if f.what == what then return f.text, f end
  end
  error("no finding " .. what)
end

describe("a finding", function()
  it("says what to do, whatever it is", function()
    local data = check([[
      ml.rule "a/*" { from = kv }, ml.rule "a/b" { from = kv }, ml.missing "m/**",
      ml.rule "r/*" { strip = "r/", from = env, replace = { ["-"] = "_" },
        transform = function(v) return v end },
      ml.rule "e/*" { prefix = "{env}-", from = kv }, ml.rule "f/*" { map = function() error "x" end }
    ]], { "a/_", "e/x", "f/x", "r/a-b", "r/a_b", "nothing", ("n"):rep(2000) })
    local seen = {}
    for _, f in ipairs(data.findings) do
      seen[f.what] = true
      assert.truthy(f.where:find(":%d+$"), f.where)
      assert.truthy(f.try and f.try ~= "", f.what)
    end
    for _, what in ipairs { "unreachable", "illegal-key", "collision", "may-collide",
      "no-plan", "no-rule", "no-inverse", "transform" } do
      assert.is_true(seen[what], what)
    end
  end)
end)

describe("unreachable rules", function()
  it("are told, with the rule that takes their names", function()
    local text, f = text_of("unreachable",
      'ml.rule "a/**" { from = kv },\nml.rule "a/b/*" { from = env }')
    assert.equal("a/b/* never decides: every name that it matches is taken before, as by "
      .. "a/** (p.lua:5)", text)
    assert.equal("p.lua:6", f.where)
    assert.equal("warning", f.severity)
  end)
  for _, pair in ipairs { { "**", "x" }, { "a/*", "a/b" }, { "{x}/b", "a/b" },
    { "a*", "ab*" }, { "a/**/c", "a/c" }, { "**/c", "a/**/c" }, { "x/*", "x/{y}" },
    { "a/**", "a/**/b/**" } } do
    it(("are found: %s before %s"):format(pair[1], pair[2]), function()
      assert.equal("warning unreachable", found(
        ('ml.rule "%s" { from = kv }, ml.rule "%s" { from = env }'):format(pair[1], pair[2])))
    end)
  end
  for _, pair in ipairs { { "a/*", "a/**" }, { "ab*", "a*" }, { "a/b", "a/*" },
    { "a/{x}/c", "a/*/*" }, { "a/**/c", "a/**" }, { "a/*-b", "a/*" }, { "a/x*", "a/*x*" } } do
    it(("are not suspected: %s before %s"):format(pair[1], pair[2]), function()
      assert.equal("", found(
        ('ml.rule "%s" { from = kv }, ml.rule "%s" { from = env }'):format(pair[1], pair[2])))
    end)
  end
  it("may be taken by several together", function()
    assert.equal("warning unreachable", found('ml.rule "a" { from = kv }, '
      .. 'ml.rule "b" { from = kv }, ml.rule { names = { a = "x", b = "y" }, from = kv }'))
  end)
  it("behind a deny are told as well", function()
    assert.equal("warning unreachable", found('ml.deny "a/**", ml.rule "a/b" { from = kv }'))
  end)
  it("by a Lua pattern are not guessed", function()
    assert.equal("", found('ml.rule "**" { from = kv }, '
      .. 'ml.rule (ml.pattern "a%d+") { from = env }'))
  end)
end)

describe("witnesses", function()
  for _, pattern in ipairs { "a", "*", "**", "a/*", "a/**/b", "**/x", "{a}-{b}/c", "a*b*c",
    "**/**", "x/**/y/**/z", "*a*" } do
    it("match their own pattern: " .. pattern, function()
      local m = match.compile(pattern)
      local names = witness.of(pattern)
      assert.is_true(#names > 0)
      for _, name in ipairs(names) do assert.is_truthy(m.test(name), name) end
    end)
  end
end)

describe("colliding names", function()
  it("are found among the names that are given", function()
    local text = text_of("collision", 'ml.rule "a/*" { strip = "a/", from = kv }',
      { "a/x", "a/X" })
    assert.equal('"a/x" and "a/X" both lead to kv:x', text)
  end)
  it("count per context and version", function()
    assert.equal("", found('ml.rule "{t}/*" { map = function(r) return '
      .. 'kv:key(r.leaf, r.captures.t) end }', { "1/x", "2/x" }):gsub("note no%-inverse", ""))
  end)
  it("are looked for where a rule replaces", function()
    local text = text_of("may-collide", 'ml.rule "a/*" { replace = { ["_"] = "-" }, '
      .. 'strip = "a/", from = kv }')
    assert.is_truthy(text:find('names that differ in "_" and "-" lead to one key', 1, true))
  end)
  it("are told for the first text in order, however often it is asked", function()
    for _ = 1, 8 do
      local text = text_of("may-collide", 'ml.rule "**" { from = kv, '
        .. 'replace = { ["_"] = "-", ["/"] = "-", ["."] = "-" } }')
      assert.is_truthy(text:find('names that differ in "." and "-"', 1, true), text)
    end
  end)
  it("are not suspected when the other cannot match", function()
    assert.equal("", found('ml.rule "a/**" { strip = "a/", replace = { ["/"] = "--" }, '
      .. "from = env }", { "a/b/c" }):gsub("note may%-collide", ""))
  end)
  it("may be meant: two fixed names, or Airflow's short names", function()
    assert.equal("", found('ml.rule { names = { a = "x", b = "x" }, from = kv }', { "a", "b" }))
  end)
end)

describe("keys and plans", function()
  it("that the source cannot have are errors", function()
    local text, f = text_of("illegal-key", 'ml.rule "*" { from = kv }', { "a_b" })
    assert.is_truthy(text:find('^"a_b": kv cannot have the key "a_b"'), text)
    assert.equal("error", f.severity)
  end)
  it("that every name with a replaced text would have are told as such", function()
    local rules = 'ml.rule "a/**" { strip = "a/", replace = { ["/"] = "_" }, from = kv }'
    local text, f = text_of("illegal-key", rules)
    assert.is_truthy(text:find('^a/%*%*: names with "/" have no key, as "a/[^"]*": kv cannot'),
      text)
    assert.equal("warning", f.severity)
    assert.equal("warning illegal-key", found(rules))
  end)
  it("that fail for an example are errors", function()
    assert.equal("error no-plan", found('ml.rule "*" { prefix = "{env}-", from = kv }, '
      .. 'examples = { "x", { "y", env = "prod" } }'))
  end)
  it("that a function fails for are told with one line", function()
    local text, f = text_of("no-plan", 'ml.rule "*" { map = function(r) return r.x.y end }', { "n" })
    assert.equal("p.lua:5", f.where)
    assert.is_truthy(text:find("^attempt to index"), text)
  end)
  it("take the caller's context where an example has none", function()
    assert.equal("", found('ml.rule "*" { prefix = "{env}-", from = kv }, '
      .. 'examples = { "x" }', {}, { env = "prod" }))
  end)
  it("names without a rule are told", function()
    local _, f = text_of("no-rule", 'ml.rule "a" { from = kv }', { "a", "b" })
    assert.equal("names.txt:2", f.where)
  end)
end)

describe("what is worth knowing", function()
  it("sources that nobody asks", function()
    local text, f = text_of("unused-source", 'ml.rule "*" { from = kv }')
    assert.equal("no rule asks the source environment", text)
    assert.equal("p.lua:3", f.where)
    assert.equal("", found('ml.rule "*" { map = function(r) return env:key(r.leaf) end }, '
      .. 'ml.rule "a/*" { from = kv }', { "x" }):gsub("note no%-inverse", ""))
  end)
  it("rules without an inverse", function()
    assert.equal("note no-inverse", found('ml.rule "*" { map = function(r) '
      .. "return { kv:key(r.leaf), env:key(r.leaf) } end }"))
  end)
  it("rules, how many names each decides, and what a plan costs", function()
    local data = check('ml.rule "a/*" { strip = "a/", from = kv }, ml.rule "b" { from = env }',
      { "a/x", "a/y" })
    assert.equal(2, data.names)
    assert.equal(2, data.rules[1].names)
    assert.is_true(data.rules[1].cost_us > 0)
    assert.is_true(data.rules[2].cost_us > 0)
    assert.is_true(data.rules[1].inverse)
  end)
  it("puts errors first", function()
    local data = check('ml.rule "a" { map = function() return env:key "x" end }, '
      .. 'ml.rule "*" { from = kv }', { "a_b" })
    assert.equal("error", data.findings[1].severity)
    assert.equal("note", data.findings[#data.findings].severity)
  end)
end)

describe("examples", function()
  it("that are no names are refused", function()
    for _, bad in ipairs { "{ 7 }", '{ { "x", 7 } }', '{ { "x", env = 7 } }', '"x"', "{ {} }" } do
      local f = t.refused(HEAD:format('ml.rule "*" { from = kv }, examples = ' .. bad))
      assert.is_truthy(f.text:find("examples", 1, true), f.text)
    end
  end)
  it("are the only named options, besides tests", function()
    local f = t.refused(HEAD:format('ml.rule "*" { from = kv }, example = {}'))
    assert.is_truthy(f.text:find("no option 'example'", 1, true), f.text)
  end)
end)

describe("files of teams", function()
  local REQUIRE = 'local ml = require "moonlatch.policy"\n'

  -- "severity what file:line" of each finding; rules: of the file of team a.
  local function found_in_team(rules, tests)
    local p = t.load_path { files = {
      ["/etc/ml/policy.lua"] = REQUIRE .. [[
        local kv = ml.azure_key_vault { vault_url = "https://kv.vault.azure.net" }
        local rest = ml.environment {}
        return ml.policy {
          ml.team "a" { confine = { "a/**", "x/y" }, file = "a.lua", sources = { kv = kv } },
          ml.rule "a/**" { from = rest }, ml.rule "**" { from = rest }, tests = { ]]
            .. (tests or "") .. " } }",
      ["/etc/ml/a.lua"] = REQUIRE .. "return ml.policy { " .. rules .. " }",
    } }
    t.fake.tick = 100
    local answer, f = t.run(p, "check", nil, { value = "" })
    t.fake.tick = nil
    t.ok(answer, f)
    local words = {}
    for i, one in ipairs(cjson.decode(answer.text).findings) do
      words[i] = one.severity .. " " .. one.what .. " " .. one.where
    end
    return table.concat(words, ", ")
  end

  local ALL = 'ml.rule "**" { from = ml.given.kv }'
  it("may say ** for all that is theirs", function()
    -- and then nothing of theirs is left for what is behind the team
    assert.equal("warning unreachable policy.lua:6", found_in_team(ALL))
    assert.equal("", found_in_team 'ml.rule { "*/b", "x/*" } { from = ml.given.kv }')
    assert.equal("", found_in_team 'ml.rule "a/*" { from = ml.given.kv }')
  end)
  it("have rules that never decide, too", function()
    assert.equal("warning unreachable a.lua:2, warning unreachable policy.lua:6",
      found_in_team(ALL .. ', ml.rule "a/b" { from = ml.given.kv }'))
    assert.equal("warning unreachable a.lua:2, warning unreachable policy.lua:6",
      found_in_team('ml.rule "b/**" { from = ml.given.kv }, ' .. ALL))
  end)
  it("whose confine is a name, not a pattern, are told of what is below it", function()
    for _, pattern in ipairs { "x/y/**", "x/*/z", "x" } do
      assert.equal("warning unreachable a.lua:2, warning unreachable policy.lua:6",
        found_in_team(('ml.rule "%s" { from = ml.given.kv }, '):format(pattern) .. ALL))
    end
  end)
  it("that ask what they were given use the policy's own source", function()
    local map = 'ml.rule "a/*" { map = function(r) return ml.given.kv:key(r.leaf) end }'
    assert.equal("warning unused-source policy.lua:2, note no-inverse a.lua:2", found_in_team(map))
    assert.equal("note no-inverse a.lua:2",
      found_in_team(map, 'ml.case "a/x" { plan = "kv:x" }'))
  end)
end)
