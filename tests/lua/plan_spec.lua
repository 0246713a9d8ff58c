-- plan_spec.lua - rules, a name, a context -> the plan "source:key source:key".
local t = require "support.policy"

local SOURCES = [[
local kv = ml.azure_key_vault { vault_url = "https://kv.vault.azure.net" }
local sh = ml.azure_key_vault { vault_url = "https://sh.vault.azure.net" }
local env = ml.environment { alias = "env" }
]]

-- rule, name, context, plan
local PLANS = {
  { "ml.rule 'a' { from = kv }", "a", {}, "kv:a" },
  { "ml.rule 'a' { from = { kv, env } }", "a", {}, "kv:a env:a" },
  { "ml.rule 'a/**' { from = kv, strip = 'a/', replace = { ['/'] = '-' } }", "a/b/c", {},
    "kv:b-c" },
  { "ml.rule '**' { from = kv, strip = 'a/' }", "b", {}, "kv:b" },
  { "ml.rule '**' { from = kv, strip = { 'x/', 'a/' } }", "a/b", {}, "kv:b" },
  { "ml.rule '**' { from = kv, prefix = 'p-', suffix = '-s' }", "b", {}, "kv:p-b-s" },
  { "ml.rule '**' { from = { kv, sh }, prefix = { '1-', '2-' } }", "b", {},
    "kv:1-b sh:1-b kv:2-b sh:2-b" },
  { "ml.rule '**' { from = kv, prefix = { '{env}-', 'all-' } }", "b", { env = "qa" },
    "kv:qa-b kv:all-b" },
  { "ml.rule '{env}/{x}' { from = kv, strip = '{env}/', prefix = '{x}-{env}-' }", "p/b",
    { env = "qa" }, "kv:b-p-b" },
  { "ml.rule '**' { from = kv, replace = { ['/'] = '--', _ = '-' } }", "a/b_c", {},
    "kv:a--b-c" },
  { "ml.rule '**' { from = kv, replace = { a = 'b', b = 'a' } }", "abc", {}, "kv:bac" },
  { "ml.rule '**' { from = kv, replace = { ab = 'X', a = 'Y', b = '' } }", "abab-ab", {},
    "kv:XX-X" },
  { "ml.rule '**' { from = kv, replace = { ['__'] = '-', _ = 'u' } }", "a__b_c", {},
    "kv:a-buc" },
  { "ml.rule '**' { from = kv, replace = { ['.'] = '-', ['%'] = 'p' } }", "a.b%c", {},
    "kv:a-bpc" },
  { "ml.rule '**' { from = kv, lower = true, prefix = 'P-' }", "ABc", {}, "kv:P-abc" },
  { "ml.rule '**' { from = env, upper = true, replace = { ['/'] = '_' } }", "a/b", {},
    "env:A_B" },
  { "ml.rule '**' { from = kv, prefix = 'p-', names = { ['a/b'] = 'old-{env}' } }", "a/b",
    { env = "qa" }, "kv:old-qa" },
  { "ml.rule '**' { from = kv, prefix = 'p-', names = { ['a/b'] = 'old' } }", "c", {},
    "kv:p-c" },
  { "ml.rule { from = kv, names = { ['a/b'] = 'old' } }", "a/b", {}, "kv:old" },
  { "ml.rule { 'x/*', 'y/{n}' } { from = kv, names = { ['y/2'] = 'k{n}' } }", "y/2", {},
    "kv:k2" },
  { "ml.rule(ml.pattern '(%a+)%.(%d+)') { from = kv, strip = '{1}.', prefix = '{1}-' }",
    "ab.12", {}, "kv:ab-12" },
  { "ml.rule '**' { from = kv, prefix = '{env:upper}-{Q:lower}-' }", "b",
    { env = "qa", Q = "XyZ" }, "kv:QA-xyz-b" },
  { "ml.rule '**' { from = kv, prefix = { '{team?}--', '' } }", "b", { team = "red" },
    "kv:red--b kv:b" },
  { "ml.rule '**' { from = kv, prefix = { '{team?}--', '' } }", "b", {}, "kv:b" },
  { "ml.rule '**' { from = kv, prefix = { '{team:upper?}-', 'x-' } }", "b", { team = "" },
    "kv:x-b" },
  { "ml.rule '**' { from = kv, encode = true, strip = 'a/', prefix = { 'P-', '' }, suffix = '-s' }",
    "a/b/c_D", {}, "kv:P-b--c-0-3d-s kv:b--c-0-3d-s" },
  { "ml.rule(ml.pattern('aws_(%l+)', { ignore_case = true })) { from = kv, prefix = '{1}-', strip = 'AWS_' }",
    "AWS_X", {}, "kv:x-X" },
  { "ml.rule '*' { map = function(req) return kv:key(ml.encode(req.name)) end }", "a_b", {},
    "kv:a-0b" },
  { "ml.rule '*/*' { map = function(req) return kv:key(req.leaf) end }", "a/b", {},
    "kv:b" },
  { "ml.rule '{t}/*' { map = function(req) return { kv:key(req.captures.t), "
    .. "env:key(req.segments[2]:upper() .. req.context.env) } end }", "a/b",
    { env = "qa" }, "kv:a env:Bqa" },
  { "ml.rule 'a' { from = kv }, ml.rule '*' { from = sh }", "b", {}, "sh:b" },
  { "ml.rule 'a' { from = kv }, ml.rule '*' { from = sh }", "a", {}, "kv:a" },
}

-- rule, name, context, code, text
local FAILS = {
  { "ml.rule 'a' { from = kv }", "b", {}, "missing", 'no rule of the policy matches "b"' },
  { "ml.rule 'a' { from = kv }", "", {}, "usage", "a name is needed" },
  { "ml.rule '**' { from = kv }", ("x"):rep(1025), {}, "usage", "longer" },
  { "ml.deny '**/root-*', ml.rule '**' { from = kv }", "a/root-x", {}, "policy",
    "p.lua:5: \"a/root-x\" is denied by deny **/root-*" },
  { "ml.deny('a', 'ask Ops')", "a", {}, "policy", "ask Ops" },
  { "ml.rule '**' { from = kv, prefix = '{env}-' }", "a", {}, "usage",
    "p.lua:5: {env} is not set" },
  { "ml.rule '**' { from = kv, prefix = '{env}-' }", "a", { env = "" }, "usage",
    "{env} is not set" },
  { "ml.rule '**' { from = kv, prefix = { 'a-', '{env}-' } }", "a", {}, "usage",
    "{env} is not set" },
  { "ml.rule '**' { from = kv, suffix = '{env}' }", "a", {}, "usage", "{env} is not set" },
  { "ml.rule '**' { from = kv, version = '{v}' }", "a", {}, "usage", "{v} is not set" },
  { "ml.rule '**' { from = kv, prefix = { '{team?}-', '{env?}' } }", "a", {}, "usage",
    "{env} is not set" },
  { "ml.rule '**' { from = kv, encode = true, prefix = ('p'):rep(90) }", ("a"):rep(50), {},
    "usage", "37 bytes are left" },
  { "ml.missing('a', 'bootstrap'), ml.rule '**' { from = kv }", "a", {}, "missing",
    'p.lua:5: "a" is not looked up by missing a: bootstrap' },
  { "ml.rule '**' { from = kv, strip = '{env}' }", "a", {}, "usage", "{env} is not set" },
  { "ml.rule { from = kv, names = { a = '{env}' } }", "a", {}, "usage", "{env}" },
  { "ml.rule(ml.pattern '.-.-.-.-x') { from = kv }", ("a"):rep(500), {}, "policy",
    "p.lua:5: " },
  { "\nml.rule '**' { from = kv }", "a_b", {}, "usage",
    'p.lua:6: kv cannot have the key "a_b": a Key Vault secret name' },
  { "ml.rule '**' { from = kv, strip = 'a/' }", "a/", {}, "usage", "cannot have the key" },
  { "ml.rule '**' { from = { env, kv } }", "a_b", {}, "usage", "kv cannot have" },
  { "ml.rule '*' { map = function() end }", "a", {}, "policy", "p.lua:5: map must return" },
  { "ml.rule '*' { map = function() return {} end }", "a", {}, "policy", "empty list" },
  { "ml.rule '*' { map = function() error({}) end }", "a", {}, "policy", "raised a table" },
  { "ml.rule '*' { map = function() error() end }", "a", {}, "policy", "raised nil" },
  { "ml.rule '*' { map = function() return { 'x' } end }", "a", {}, "policy", "element 1" },
  { "ml.rule '*' { map = function() return { source = kv, key = 1 } end }", "a", {},
    "policy", "element 1" },
  { "ml.rule '*' { map = function() return nil, 'not today' end }", "a", {}, "policy",
    "p.lua:5: not today" },
  { "ml.rule '*' { map =\nfunction(req) return req.x.y end }", "a", {}, "policy",
    "p.lua:6: attempt to index a nil value" },
  { "ml.rule '*' { map = function() error({ code = 'missing' }) end }", "a", {}, "policy",
    "p.lua:5: " },
  { "ml.rule '*' { map = function(req) return kv:key(req) end }", "a", {}, "policy",
    "string" },
}

local function load(rules)
  return t.load(SOURCES .. "return ml.policy { " .. rules .. " }", {})
end

describe("the plan of", function()
  for _, c in ipairs(PLANS) do
    it(c[1] .. " for " .. c[2], function()
      local plan, f = t.plan(load(c[1]), c[2], c[3])
      t.ok(plan, f)
      assert.equal(c[4], plan)
      assert.equal(0, #t.fake.calls)
    end)
  end
end)

describe("there is no plan:", function()
  for _, c in ipairs(FAILS) do
    it(c[1] .. " for " .. c[2]:sub(1, 20), function()
      local plan, f = t.plan(load(c[1]), c[2], c[3])
      t.fails(plan, f, c[4], c[5])
      local answer
      answer, f = t.get(load(c[1]), c[2], c[3])
      t.fails(answer, f, c[4], c[5])
      assert.equal(0, #t.fake.calls, "refused before the network")
    end)
  end
end)

it("a map function cannot change the caller's context", function()
  local p = load "ml.rule '*' { map = function(r) r.context.env = 'x' return kv:key 'a' end }"
  local context = { env = "qa" }
  t.ok(t.plan(p, "a", context))
  assert.equal("qa", context.env)
end)
