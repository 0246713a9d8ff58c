-- policy_spec.lua - what a policy file may say, and the line that a mistake is reported at.
local t = require "support.policy"

local VAULT = 'local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }\n'

-- text, code, what the message begins with, what it says
local REFUSED = {
  { "return 1", "policy", "p.lua:", "must return ml.policy { ... }, not a number" },
  { "", "policy", "p.lua:", "must return ml.policy { ... }, not nil" },
  { "x = = 1", "policy", "p.lua:2: ", "unexpected symbol" },
  { "\n\nlocal x = nil; x.y = 1", "policy", "p.lua:4: ", "nil value" },
  { "local x = os.getenv 'A'", "policy", "p.lua:2: ",
    "a policy has no 'os', ml.env reads variables" },
  { "print 'x'", "policy", "p.lua:2: ", "a policy has no 'print', policy repl" },
  { "error(('x'):rep(100000) .. \"nil value (global 'os')\")", "policy", "p.lua:2: xxx",
    "a policy has no 'os'" },
  { "local x = os2.y", "policy", "p.lua:2: ", "nil value (global 'os2')" },
  { "error('mine')", "policy", "p.lua:2: ", "mine" },
  { "error({})", "policy", "p.lua:", "the policy raised a table" },
  { "error(nil)", "policy", "p.lua:", "the policy raised nil" },
  { "error(print or next)", "policy", "p.lua:", "the policy raised a function" },
  { "error({ code = 'missing' })", "policy", "p.lua:", "the policy raised a table" },
  { "local x = ml.env 'AIRFLOW__SECRETS__BACKEND_KWARGS'", "policy", "p.lua:2: ",
    'use ml.env_secret "AIRFLOW__SECRETS__BACKEND_KWARGS"' },
  { "local x = ml.env('db_password', '')", "policy", "p.lua:2: ", "ml.env_secret" },
  { "local x = ml.env 'AZURE_CLIENT_SECRET'", "policy", "p.lua:2: ", "ml.env_secret" },
  { "local x = ml.env 'TOKEN'", "policy", "p.lua:2: ", "ml.env_secret" },
  { "\nlocal x = ml.airflow { bare_name = true }", "policy", "p.lua:3: ",
    "no option 'bare_name'" },
  { "local x = ml.airflow { from = 1 }", "policy", "p.lua:2: ", "must be a source" },
  { "local f = ml.dot_env { path = 'x' }", "policy", "p.lua:2: ",
    "there is no ml.dot_env: is ml.dotenv meant?" },
  { "\nml.Rule 'x' {}", "policy", "p.lua:3: ", "is ml.rule meant?" },
  { "ml[{}] = 1; local x = ml.nope", "policy", "p.lua:2: ", "there is no ml.nope; lua/README" },
  { "return ml.policy {}", "policy", "p.lua:", "no rules" },
  { "return ml.policy 'x'", "policy", "p.lua:", "needs a list" },
  { VAULT .. "\nlocal p = ml.policy { kv }", "policy", "p.lua:4: ", "entry 1" },
  { "local p = ml.policy { ml.rule 'x' }", "policy", "p.lua:2: ", "needs its options" },
  { "local p = ml.policy { ml.deny 'x', nil, ml.deny 'y' }", "policy", "p.lua:2: ",
    "entry 2" },
  { "local p = ml.policy { ml.deny 'x', ttl = 3 }", "policy", "p.lua:2: ",
    "no option 'ttl'" },
  { "local r = ml.rule 'x' { frm = 1 }", "policy", "p.lua:2: ", "no option 'frm'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, prefx = '' }", "policy", "p.lua:3: ",
    "no option 'prefx' (options: decode, default, encode, field, from," },
  { VAULT .. "local r = ml.rule('x', { from = kv }) { from = kv }", "policy", "p.lua:3: ",
    "takes the pattern alone" },
  { VAULT .. "local r = ml.rule('x', { from = kv })", "policy", "p.lua:3: ", "alone" },
  { "local r = ml.rule 'x' {}", "policy", "p.lua:2: ", "needs 'from'" },
  { "local r = ml.rule 'x' { from = 'kv' }", "policy", "p.lua:2: ", "a source" },
  { "local r = ml.rule 'x' { from = {} }", "policy", "p.lua:2: ", "empty" },
  { "local r = ml.rule 'x' { from = { 1 } }", "policy", "p.lua:2: ", "element 1" },
  { "local r = ml.rule '' { map = print }", "policy", "p.lua:2: ", "" },
  { VAULT .. "local r = ml.rule 'a**' { from = kv }", "policy", "p.lua:3: ", "alone" },
  { VAULT .. "local r = ml.rule { 'a', 1 } { from = kv }", "policy", "p.lua:3: ",
    "element 2 is not a pattern" },
  { VAULT .. "local r = ml.rule(ml.pattern '(') { from = kv }", "policy", "p.lua:3: ",
    "a '(' without ')'" },
  { "ml.pattern(1)", "policy", "p.lua:2: ", "Lua pattern" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, prefix = 1 }", "policy", "p.lua:3: ",
    "prefix" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, prefix = { 'a', 1 } }", "policy",
    "p.lua:3: ", "element 2" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, prefix = '{' }", "policy", "p.lua:3: ",
    "placeholders" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, suffix = '}' }", "policy", "p.lua:3: ",
    "placeholders" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, replace = { [''] = 'x' } }", "policy",
    "p.lua:3: ", "empty" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, replace = { a = 1 } }", "policy",
    "p.lua:3: ", "string" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, lower = true, upper = true }", "policy",
    "p.lua:3: ", "exclude" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { found = 'next' } }", "policy",
    "p.lua:3: ", "not an outcome" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { missing = 'retry' } }", "policy",
    "p.lua:3: ", "next, stop" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { missing = 'default' } }", "policy",
    "p.lua:3: ", "no 'default'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, default = 3 }", "policy", "p.lua:3: ",
    "default" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, map = function() end }", "policy",
    "p.lua:3: ", "remove 'from'" },
  { VAULT .. "local r = ml.rule { names = {} } {}", "policy", "p.lua:3: ", "'from'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, field = 'user' }", "policy", "p.lua:3: ",
    "a JSON pointer" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, field = '/a~2' }", "policy", "p.lua:3: ",
    "a JSON pointer" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, field = {} }", "policy", "p.lua:3: ",
    "empty" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, field = 1 }", "policy", "p.lua:3: ",
    "a JSON pointer" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, decode = 'rot13' }", "policy", "p.lua:3: ",
    "not base64, base64url or hex" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, decode = { 'hex', 1 } }", "policy", "p.lua:3: ",
    "element 2" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = {} }", "policy", "p.lua:3: ",
    "option 'require': it is empty" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = 'x' }", "policy", "p.lua:3: ",
    "a table is needed" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { min_byte = 1 } }", "policy", "p.lua:3: ",
    "no option 'min_byte'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { min_bytes = -1 } }", "policy", "p.lua:3: ",
    "option 'min_bytes': a whole number" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { min_bytes = 2, max_bytes = 1 } }",
    "policy", "p.lua:3: ",
    "min_bytes is more than" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { not_expired = false } }", "policy", "p.lua:3: ",
    "write true" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { max_age_days = 0 } }", "policy", "p.lua:3: ",
    "more than 0" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { tag = { team = 1 } } }", "policy", "p.lua:3: ",
    "any value" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { tag = { team = '{team}' } } }",
    "policy", "p.lua:3: ",
    "placeholders are not filled here" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { like = {} } }", "policy", "p.lua:3: ",
    "empty" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { content_type = '' } }", "policy", "p.lua:3: ",
    "not a text" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, require = { check = true } }", "policy", "p.lua:3: ",
    "a function is needed" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, transform = 'x' }", "policy", "p.lua:3: ",
    "a function is needed" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, version = '' }", "policy", "p.lua:3: ",
    "empty" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, version = '{' }", "policy", "p.lua:3: ",
    "placeholders" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, inverse = function() end }", "policy", "p.lua:3: ",
    "'inverse' belongs to 'map'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, encode = 1 }", "policy", "p.lua:3: ",
    "a boolean is needed" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, encode = true, replace = { a = 'b' } }",
    "policy", "p.lua:3: ",
    "remove 'replace'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, encode = true, lower = true }", "policy", "p.lua:3: ",
    "remove 'lower'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, suffix = '{a?}' }", "policy", "p.lua:3: ",
    "can leave out a prefix" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, strip = '{a?}' }", "policy", "p.lua:3: ",
    "can leave out a prefix" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, prefix = '{a:title}' }", "policy", "p.lua:3: ",
    "{env:upper}" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { missing = 'stale' } }", "policy", "p.lua:3: ",
    "throttled " },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { forbidden = 'stale' } }", "policy", "p.lua:3: ",
    "forbidden = 'stale': an old value" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { disabled = 'stale' } }", "policy", "p.lua:3: ",
    "disabled = 'stale'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { unauthenticated = 'stale' } }", "policy", "p.lua:3: ",
    "unauthenticated = 'stale'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { invalid = 'stale' } }", "policy", "p.lua:3: ",
    "invalid = 'stale'" },
  { VAULT .. "local r = ml.rule 'x' { from = kv, on = { policy = 'stale' } }", "policy", "p.lua:3: ",
    "policy = 'stale'" },
  { "local r = ml.rule 'x' { map = print or next, version = 'v1' }", "policy", "p.lua:2: ",
    "remove 'version'" },
  { VAULT .. "local p = {} for i = 1, 33 do p[i] = 'p' .. i end local r = ml.rule 'x' { "
    .. "from = { kv, kv }, prefix = p }", "policy", "p.lua:3: ", "make 66 steps, at most 64" },
  { "local r = ml.rule 'x' { map = next, inverse = next }", "policy", "p.lua:2: ",
    "'inverse' needs 'from'" },
  { "ml.missing(1)", "policy", "p.lua:2: ", "pattern" },
  { "ml.missing('x', 1)", "policy", "p.lua:2: ", "ml.missing: the reason" },
  { "ml.pattern('x', { icase = true })", "policy", "p.lua:2: ", "no option 'icase'" },
  { "ml.encode(1)", "policy", "p.lua:2: ", "a string" },
  { "ml.encode('a', 'b')", "policy", "p.lua:2: ", "whole number" },
  { "ml.encode(('a'):rep(50), 41)", "policy", "p.lua:2: ", "41 bytes are left" },
  { "ml.decode(1)", "policy", "p.lua:2: ", "a string" },
  { "ml.deny(1)", "policy", "p.lua:2: ", "pattern" },
  { "ml.deny('x', 1)", "policy", "p.lua:2: ", "reason" },
  { "ml.env 'NOT_THERE'", "policy", "p.lua:2: ", "NOT_THERE is not set" },
  { "ml.env 'EMPTY'", "policy", "p.lua:2: ", "EMPTY is not set" },
  { "ml.env('NOT_THERE', 1)", "policy", "p.lua:2: ", "default" },
  { "ml.env_secret 'EMPTY'", "policy", "p.lua:2: ", "EMPTY is not set" },
  { "ml.env()", "policy", "p.lua:2: ", "name of a variable" },
  { "ml.azure_key_vault {}", "policy", "p.lua:2: ", "needs 'vault_url'" },
  { "ml.azure_key_vault 'x'", "policy", "p.lua:2: ", "table of options" },
  { "ml.azure_key_vault { vault_url = 'http://x' }", "usage", "p.lua:2: ", "https" },
  { "ml.azure_key_vault { vault_url = 'https://x', url = 1 }", "policy", "p.lua:2: ",
    "no option 'url'" },
  { "ml.azure_key_vault { vault_url = 'https://x', alias = 'a b' }", "policy",
    "p.lua:2: ", "alias" },
  { "ml.azure_key_vault { vault_url = 'https://x', credential = {} }", "policy",
    "p.lua:2: ", "credential" },
  { "ml.client_secret { tenant_id = 't', client_id = 'c' }", "policy", "p.lua:2: ",
    "needs 'client_secret'" },
  { "ml.client_secret { tenant_id = 't', client_id = 'c', client_secret = 'hunter2' }",
    "policy", "p.lua:2: ", "ml.env_secret" },
  { VAULT .. "kv.x = 1", "policy", "p.lua:3: ", "cannot be changed" },
  { VAULT .. "kv:key(1)", "policy", "p.lua:3: ", "string" },
  { VAULT .. "kv:key(('a'):gsub('a', 'b'))", "policy", "p.lua:3: ", "in parentheses" },
  { VAULT .. "kv.key('x')", "policy", "p.lua:3: ", "source:key" },
  { "ml.environment { alias = 'a' } ml.environment { alias = 'a' }", "policy",
    "p.lua:2: ", "two sources" },
}

describe("a policy is refused:", function()
  for _, c in ipairs(REFUSED) do
    it((c[1]:gsub("\n", " ")), function()
      local f = t.refused(c[1], { env = { EMPTY = "" } })
      assert.equal(c[2], f.code, f.text)
      assert.equal(c[3], f.text:sub(1, #c[3]), f.text)
      assert.truthy(f.text:find(c[4], 1, true), f.text)
      assert.is_nil(f.text:find("hunter2", 1, true))
    end)
  end

  it("byte code", function()
    local fine, f = pcall(t.load_whole, "\27LuaT\0\25\147")
    assert.is_false(fine)
    assert.equal("policy", f.code)
    assert.equal("p.lua:1: ", f.text:sub(1, 9))
  end)

  it("a constructor in a function is reported within the file", function()
    local f = t.refused("local function make()\n  return ml.rule('x')({})\nend\nmake()")
    assert.truthy(f.text:find("^p.lua:[345]: "), f.text)
  end)
end)

describe("a source", function()
  local function aliases(text)
    t.fake.reset()
    t.load(text .. ' return ml.policy { ml.deny "x" }')
    local words = {}
    for i, o in ipairs(t.fake.vaults) do words[i] = o.alias end
    return table.concat(words, " ")
  end

  it("is called after its vault, and names are unique", function()
    assert.equal("acme acme-2 shared 127.0.0.1 localhost mine", aliases [[
      ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }
      ml.azure_key_vault { vault_url = "https://acme.vault.azure.cn/" }
      ml.azure_key_vault { vault_url = "https://shared.vault.azure.net" }
      ml.azure_key_vault { vault_url = "https://127.0.0.1:8443" }
      ml.azure_key_vault { vault_url = "https://localhost:8443" }
      ml.azure_key_vault { vault_url = "https://x.vault.azure.net", alias = "mine" }
    ]])
  end)

  it("hands its options and the opaque secret to core", function()
    t.fake.reset { env = { SP = "hunter2" } }
    t.load [[
      ml.azure_key_vault {
        vault_url = "https://a.vault.azure.net", api_version = "7.5",
        audience = "https://vault.azure.net", authority = "https://login",
        dns_suffix = ".vault.example", verify_challenge_resource = false,
        credential = ml.client_secret {
          tenant_id = "t", client_id = "c", client_secret = ml.env_secret "SP" },
      }
      return ml.policy { ml.deny "x" }
    ]]
    local o = t.fake.vaults[1]
    assert.equal("hunter2", t.fake.reveal(o.client_secret))
    o.client_secret = nil
    assert.same({
      alias = "a", vault_url = "https://a.vault.azure.net", api_version = "7.5",
      audience = "https://vault.azure.net", authority = "https://login",
      dns_suffix = ".vault.example", skip_challenge_check = true, tenant_id = "t",
      client_id = "c",
    }, o)
  end)

  it("shows a policy nothing of what is behind it", function()
    t.load [[
      local kv = ml.azure_key_vault { vault_url = "https://a.vault.azure.net" }
      assert(next(kv) == nil and kv.call == nil and kv.raw == nil)
      assert(tostring(kv) == "source a")
      return ml.policy { ml.deny "x" }
    ]]
  end)
end)

describe("ml.airflow", function()
  local function with(rule, text)
    package.loaded["moonlatch.airflow"] = { rule = rule }
    local fine, p = pcall(t.load, text or "return ml.policy { ml.airflow {} }", {})
    package.loaded["moonlatch.airflow"] = nil
    return fine and p or nil, p
  end

  it("runs the rule that its module returns", function()
    local p = with(function(o, ml)
      assert(next(o) == nil)
      local kv = ml.azure_key_vault { vault_url = t.URL }
      return {
        match = function(name)
          local id = name:match("^c/(.+)$")
          if id then return { id = id } end
          return nil, "not c/"
        end,
        map = function(req)
          if req.captures.id == "no" then
            return nil, { code = "missing", text = "switched off" }
          end
          return { kv:key("c-" .. req.captures.id) }
        end,
      }
    end)
    assert.equal("acme:c-x", t.plan(p, "c/x"))
    local v, f = t.plan(p, "c/no")
    t.fails(v, f, "missing", "p.lua:2: switched off")
    v, f = t.plan(p, "d")
    t.fails(v, f, "missing", "no rule")
  end)

  it("takes no for an answer from an empty value, where a step says so", function()
    t.fake.reset { vaults = { [t.URL] = { a = "", b = "" } } }
    local p = t.load_whole [[return require("moonlatch.policy").policy {
      require("moonlatch.policy").deny "x" }]]
    assert.is_table(p)
    package.loaded["moonlatch.airflow"] = { rule = function(_, ml)
      local kv = ml.azure_key_vault { vault_url = t.URL }
      return {
        match = function() return {} end,
        map = function(req)
          local step = kv:key(req.name)
          if req.name == "a" then step.empty = "missing" end
          return { step }
        end,
      }
    end }
    p = t.load "return ml.policy { ml.airflow {} }"
    package.loaded["moonlatch.airflow"] = nil
    local v, f = t.get(p, "a")
    t.fails(v, f, "missing")
    assert.equal("acme:b=", t.get(p, "b"))
  end)

  it("reports what its module refuses at the user's line", function()
    local p, f = with(function() error({ code = "usage", text = "no such kwarg" }, 0) end)
    t.fails(p, f, "usage", "p.lua:2: no such kwarg")
    p, f = with(function() error("broken", 0) end)
    t.fails(p, f, "policy", "p.lua:2: broken")
    p, f = with(function(_, ml) return ml.azure_key_vault { vault_url = "http://" } end)
    t.fails(p, f, "usage", "p.lua:2: vault_url")
    p, f = with(function() end, "local r = ml.airflow 'x'")
    t.fails(p, f, "policy", "p.lua:2: ml.airflow needs a table")
  end)
end)

it("a denied name is denied in any case", function()
  local p = t.load([[
    local env = ml.environment {}
    return ml.policy {
      ml.deny { "airflow-*", "Team/{x}/Root", ml.pattern "db%-%d+" },
      ml.rule "**" { from = env },
    }
  ]], {})
  for _, name in ipairs { "airflow-x", "AIRFLOW-variables-hello", "team/a/root",
    "TEAM/A/ROOT", "Team/{x}/Root", "db-1", "DB-1" } do
    t.fails(t.plan(p, name), select(2, t.plan(p, name)), "policy", "is denied by deny airflow-*")
  end
  for _, name in ipairs { "airflo-x", "team/a", "db-x", "X" } do
    assert.truthy(t.plan(p, name))
  end
end)
