-- after_spec.lua - what a rule does with what it found: require, decode, field, transform.
local t = require "support.policy"
local fake = t.fake

local DAY_S = 24 * 60 * 60

-- A policy of two vaults; upper and lower hold x.
local function load(options, upper, lower, wall_s)
  fake.reset {
    wall_s = wall_s,
    vaults = { ["https://up.vault.azure.net"] = { x = upper },
      ["https://low.vault.azure.net"] = { x = lower } },
  }
  return t.load(([[
    local up = ml.azure_key_vault { vault_url = "https://up.vault.azure.net" }
    local low = ml.azure_key_vault { vault_url = "https://low.vault.azure.net" }
    return ml.policy { ml.rule "x" { from = { up, low }, %s } }
  ]]):format(options))
end

-- options, what is stored, what get answers
local ANSWERS = {
  { "field = '/user/password'", '{"user":{"password":"s3"}}', "s3" },
  { "field = '/n'", '{"n":12}', "12" },
  { "field = '/t'", '{"t":true}', "true" },
  { "field = '/a'", '{"a":[1,2]}', "[1,2]" },
  { "field = '/a/1'", '{"a":[1,2]}', "2" },
  { "field = '/e'", '{"e":""}', "" },
  { "field = { '/conn_uri', '' }", '{"conn_uri":"pg://"}', "pg://" },
  { "field = { '/conn_uri', '' }", '{"host":"h"}', '{"host":"h"}' },
  { "decode = 'base64'", "aHVudGVyMg==", "hunter2" },
  { "decode = { 'hex', 'base64' }", "61484a3149413d3d", "hru " },
  { "decode = 'base64', field = '/p'", "eyJwIjoicSJ9", "q" },
  { "transform = function(text) return text:upper() .. '!' end", "abc", "ABC!" },
  { "field = '/p', transform = function(text) return text .. text end", '{"p":"q"}', "qq" },
  { "require = { min_bytes = 1, max_bytes = 3 }", "abc", "abc" },
}

describe("get answers", function()
  for _, c in ipairs(ANSWERS) do
    it(c[1] .. " of " .. c[2], function()
      assert.equal("up:x=" .. c[3], t.get(load(c[1], c[2]), "x"))
    end)
  end
end)

-- options, what is stored, what the message says
local INVALID = {
  { "field = '/b'", '{"a":"hunter2"}', "up:x is there, but field /b: there is no such field" },
  { "field = '/a'", '{"a":null}', "field /a: the field is null" },
  { "field = { '/b', '/c' }", '{"a":"hunter2"}', "field /b, /c: there is no such field" },
  { "field = '/a'", "hunter2", "field /a: the secret is not JSON (p.lua:4)" },
  { "decode = 'base64'", "hunter2!", "decode base64: the secret is not base64" },
  { "decode = 'hex'", "hunter2", "decode hex: the secret is not hex" },
  { "transform = function() end", "hunter2", "transform: transform gave no text" },
  { "transform = function(s) error(s) end", "hunter2", "transform failed (p.lua:4)" },
  { "transform = function(s) error(s, 0) end", "hunter2", "transform failed (p.lua:4)" },
  { "transform = function(s) error({ s }) end", "hunter2", "transform failed (p.lua:4)" },
  { "transform = function(s) error('p.lua:' .. s, 0) end", "hunter2", "transform failed" },
  { "transform = function(s) return s.x.y end", "hunter2", "transform failed (p.lua:4)" },
  { "require = { min_bytes = 10 }", "hunter2", "require min_bytes: the secret is shorter" },
  { "require = { max_bytes = 2 }, field = '/a'", '{"a":"hunter2"}', "require max_bytes:" },
}

describe("the outcome is invalid:", function()
  for _, c in ipairs(INVALID) do
    it(c[1] .. " of " .. c[2], function()
      local v, f = t.get(load(c[1], c[2], "lower"), "x")
      t.fails(v, f, "invalid", c[3])
      assert.equal("up", f.source)
      assert.equal("x", f.key)
      assert.is_nil(f.text:find("hunter", 1, true), f.text)
      assert.equal("get up:x", t.asked(), "the lower layer is not asked")
    end)
  end

  it("and goes on where the policy says so", function()
    local p = load("field = '/p', on = { invalid = 'next' }", '{"q":1}', '{"p":"low"}')
    assert.equal("low:x=low", t.get(p, "x"))
  end)
  it("and is not forgotten when the rest is missing", function()
    local v, f = t.get(load("field = '/p', on = { invalid = 'next' }", '{"q":1}'), "x")
    t.fails(v, f, "invalid", "no later step has it")
  end)
  it("and may be answered by the default", function()
    local p = load("field = '/p', default = 'd', on = { invalid = 'default' }", "{}")
    local answer = t.run(p, "get", "x")
    assert.equal("d", fake.reveal(answer))
  end)
  it("and the default of a missing secret is not looked at", function()
    local p = load("field = '/p', require = { min_bytes = 9 }, default = 'd'")
    local answer = t.run(p, "get", "x")
    assert.equal("d", fake.reveal(answer))
  end)
end)

-- require, metadata, problem or nil
local NOW = 1700000000 -- 2023-11-14
local CHECKS = {
  { "not_expired = true", { attributes = { expires_s = NOW + 1 } } },
  { "not_expired = true", {} },
  { "not_expired = true", { attributes = { expires_s = NOW } }, "it expired on 2023-11-14" },
  { "not_expired = true", { attributes = { not_before_s = NOW + DAY_S } } },
  { "valid_now = true", { attributes = { not_before_s = NOW + DAY_S } },
    "it is not valid before 2023-11-15" },
  { "valid_now = true", { attributes = { not_before_s = NOW, expires_s = NOW + 1 } } },
  { "valid_now = true", { attributes = { expires_s = 951782400 } }, "expired on 2000-02-29" },
  { "max_age_days = 30", { attributes = { created_s = NOW - 30 * DAY_S } } },
  { "max_age_days = 30", { attributes = { created_s = NOW - 31 * DAY_S } },
    "it is of 2023-10-14, older than 30 days" },
  { "max_age_days = 30", {}, "nothing says when it was made" },
  { "content_type = 'application/json'", { content_type = "Application/JSON" } },
  { "content_type = 'application/json'", { content_type = "text/plain" },
    "its content type is 'text/plain'" },
  { "content_type = { 'a', 'b' }", { content_type = "b" } },
  { "content_type = 'a'", {}, "it has no content type" },
  { "tag = { team = 'billing' }", { tags = { team = "billing", x = "y" } } },
  { "tag = { team = 'billing' }", { tags = { team = "ops" } }, "tag 'team' is not 'billing'" },
  { "tag = { team = 'billing' }", {}, "it has no tag 'team'" },
  { "tag = { team = true }", { tags = { team = "" } } },
  { "tag = { draft = false }", {} },
  { "tag = { draft = false }", { tags = { draft = "1" } }, "it has the tag 'draft'" },
  { "check = function(m) return m.tags.a == 'b' and m.key == 'x' and m.source == 'up' end",
    { tags = { a = "b" } } },
  { "check = function(m) return false, 'not ' .. m.version end", {}, "not 1" },
  { "check = function() return nil end", {}, "check says no" },
  { "check = function() error('why') end", {}, "check failed: p.lua:4: why" },
}

describe("require", function()
  for _, c in ipairs(CHECKS) do
    it(("{ %s } %s"):format(c[1], c[3] or "holds"), function()
      local stored = { value = "hunter2" }
      for k, v in pairs(c[2]) do stored[k] = v end
      local v, f = t.get(load("require = { " .. c[1] .. " }", stored, nil, NOW), "x")
      if c[3] then
        t.fails(v, f, "invalid", c[3])
      else
        t.ok(v, f)
        assert.equal("up:x=hunter2", v)
      end
    end)
  end
end)

describe("what is changed", function()
  local rich = { value = '{"p":"q"}', version = "7", content_type = "text/x",
    tags = { a = "b" } }
  it("keeps its metadata", function()
    local s = t.run(load("field = '/p'", rich), "get", "x")
    assert.same({ "x", "up", "x", "7", "text/x", { a = "b" }, "q" },
      { s:name(), s:source(), s:key(), s:version(), s:content_type(), s:tags(),
        fake.reveal(s) })
  end)
  it("cannot be put back", function()
    for _, option in ipairs { "field = '/p'", "decode = 'hex'",
      "transform = function(s) return s end" } do
      local v, f = t.run(load(option, rich), "put", "x", { value = fake.secret "new" })
      t.fails(v, f, "usage", "would replace the whole")
      assert.equal("", t.asked())
    end
  end)
  it("can be put when it is only looked at", function()
    t.ok(t.run(load("require = { min_bytes = 1 }", rich), "put", "x",
      { value = fake.secret "new" }))
  end)
  it("is shown by explain, and that Lua saw it", function()
    local p = load("require = { tag = { a = 'b' } }, field = '/p', "
      .. "transform = function(s) return s end", rich)
    local answer = t.run(p, "explain", "x", { plan_only = true })
    assert.truthy(answer.text:find("require tag, field /p, transform", 1, true), answer.text)
    answer = t.run(p, "explain", "x", { json = true })
    assert.truthy(answer.text:find('"transforms":true', 1, true), answer.text)
    assert.truthy(answer.text:find('"after":"require tag, field /p, transform"', 1, true))
  end)
  it("works beside a map", function()
    fake.reset { vaults = { [t.URL] = { x = '{"p":"q"}' } } }
    local p = t.load [[
      local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }
      return ml.policy { ml.rule "x" { map = function() return kv:key "x" end, field = "/p" } }
    ]]
    assert.equal("acme:x=q", t.get(p, "x"))
  end)
end)

describe("a version", function()
  it("of the rule is asked for at every step", function()
    local p = load("version = 'v{n}'", nil, "2")
    t.ok(t.get(p, "x", { n = "7" }))
    assert.equal("v7", fake.calls[1][4].version)
    assert.equal("v7", fake.calls[2][4].version)
  end)
  it("excludes another one of the caller", function()
    local v, f = t.run(load("version = 'v7'", "1"), "get", "x", { version = "v8" })
    t.fails(v, f, "usage", "another version")
  end)
  it("excludes put", function()
    local v, f = t.run(load("version = 'v7'", "1"), "put", "x", { value = fake.secret "new" })
    t.fails(v, f, "usage", "pins up:x to one version")
  end)
end)
