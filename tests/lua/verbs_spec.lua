-- verbs_spec.lua - writes and looks beyond the value: one place, and nothing lost by put.
local t = require "support.policy"
local fake = t.fake

local function load(keys)
  fake.reset { vaults = { [t.URL] = keys } }
  return t.load [[
    local env = ml.environment { alias = "env" }
    local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }
    return ml.policy {
      ml.deny "root",
      ml.rule "env" { from = env },
      ml.rule "**" { from = { env, kv }, prefix = { "p-", "q-" } },
    }
  ]]
end

local function put(p, more)
  local call = { value = fake.secret("new") }
  for k, v in pairs(more or {}) do call[k] = v end
  return t.run(p, "put", "x", call)
end

local RICH = { value = "old", content_type = "text/plain", tags = { a = "1" } }

describe("put", function()
  it("goes to the first source that can be written", function()
    local keys = {}
    local answer, f = put(load(keys))
    t.ok(answer, f)
    assert.equal("get acme:p-x, put acme:p-x", t.asked())
    assert.equal("new", keys["p-x"].value)
    assert.equal("x", answer.secrets[1]:name())
    assert.is_false(answer.secrets[1]:has_value())
  end)
  it("keeps content type and tags", function()
    local keys = { ["p-x"] = RICH }
    t.ok(put(load(keys)))
    assert.equal("text/plain", keys["p-x"].content_type)
    assert.same({ a = "1" }, keys["p-x"].tags)
  end)
  it("keeps what is not given", function()
    local keys = { ["p-x"] = RICH }
    t.ok(put(load(keys), { content_type = "text/x" }))
    assert.equal("text/x", keys["p-x"].content_type)
    assert.same({ a = "1" }, keys["p-x"].tags)
    keys["p-x"] = RICH
    t.ok(put(load(keys), { tags = { b = "2" } }))
    assert.equal("text/plain", keys["p-x"].content_type)
    assert.same({ b = "2" }, keys["p-x"].tags)
  end)
  it("does not read when both are given, or when they shall be replaced", function()
    t.ok(put(load { ["p-x"] = RICH }, { content_type = "a", tags = {} }))
    assert.equal("put acme:p-x", t.asked())
    local keys = { ["p-x"] = { fails = "forbidden" } }
    t.ok(put(load(keys), { replace_metadata = true }))
    assert.equal("put acme:p-x", t.asked())
    assert.is_nil(keys["p-x"].content_type)
  end)
  for _, code in ipairs { "forbidden", "disabled" } do
    it("does not write when the current version is " .. code, function()
      local v, f = put(load { ["p-x"] = { fails = code } })
      t.fails(v, f, code, "replace the metadata")
      assert.equal("get acme:p-x", t.asked())
    end)
  end
  for _, code in ipairs { "throttled", "unavailable", "unauthenticated" } do
    it("does not write when reading is " .. code, function()
      local v, f = put(load { ["p-x"] = { fails = code } })
      t.fails(v, f, code)
      assert.is_nil(f.text:find("replace the metadata", 1, true))
      assert.equal("get acme:p-x", t.asked())
    end)
  end
  it("reports a conflict with its place", function()
    local v, f = put(load { ["p-x"] = { value = "v", put_fails = "conflict" } })
    t.fails(v, f, "conflict")
    assert.equal("acme", f.source)
    assert.equal("p-x", f.key)
  end)
  it("hands over the attributes", function()
    t.ok(put(load {}, { enabled = false, not_before_s = 1, expires_s = 2 }))
    local args = fake.calls[2][4]
    assert.same({ false, 1, 2 }, { args.enabled, args.not_before_s, args.expires_s })
  end)
end)

describe("every verb", function()
  local VERBS = { "put", "update", "delete", "versions", "get_deleted", "recover", "purge",
    "backup", "restore" }
  for _, verb in ipairs(VERBS) do
    it(verb .. " needs a source that can be written", function()
      local v, f = t.run(load {}, verb, "env", { value = fake.secret("of p") })
      t.fails(v, f, "usage", "no source that can be written: env (environment)")
      assert.equal(0, #fake.calls)
    end)
    it(verb .. " obeys deny and key rules", function()
      local v, f = t.run(load {}, verb, "root")
      t.fails(v, f, "policy", "denied")
      v, f = t.run(load {}, verb, "a_b")
      t.fails(v, f, "usage", "cannot have the key")
      assert.equal(0, #fake.calls)
    end)
  end
  for _, verb in ipairs { "update", "delete", "versions", "get_deleted", "recover", "purge",
    "backup" } do
    it(verb .. " asks the first writable step only", function()
      local answer, f = t.run(load { ["p-x"] = "1", ["q-x"] = "2" }, verb, "x")
      t.ok(answer, f)
      assert.equal(verb .. " acme:p-x", t.asked())
      for _, s in ipairs(answer.secrets or {}) do assert.equal("x", s:name()) end
    end)
    it(verb .. " does not go on after missing", function()
      local v, f = t.run(load { ["q-x"] = "2" }, verb, "x")
      t.fails(v, f, "missing")
      assert.equal("acme", f.source)
      assert.equal(verb .. " acme:p-x", t.asked())
      assert.truthy(f.text:find("acme:p-x; not touched: acme:q-x)", 1, true), f.text)
    end)
  end
end)

it("update hands over what to change", function()
  t.ok(t.run(load { ["p-x"] = "1" }, "update", "x", { version = "v", enabled = true,
    tags = { a = "b" }, content_type = "c", expires_s = 3, not_before_s = 2 }))
  local args = fake.calls[1][4]
  assert.same({ key = "p-x", version = "v", enabled = true, tags = { a = "b" },
    content_type = "c", expires_s = 3, not_before_s = 2 }, args)
end)

it("versions answers each under the name", function()
  assert.equal(2, #t.run(load { ["p-x"] = "1" }, "versions", "x").secrets)
end)

it("no version at all is missing", function()
  local p = load { ["p-x"] = "1" }
  local versions = fake.no_versions
  fake.no_versions = true
  local v, f = t.run(p, "versions", "x")
  fake.no_versions = versions
  t.fails(v, f, "missing", "acme:p-x is missing")
  assert.equal("p-x", f.key)
end)

it("purge answers nothing", function()
  assert.same({}, t.run(load { ["p-x"] = "1" }, "purge", "x"))
end)

it("backup answers the blob, restore takes it", function()
  local p = load { ["p-x"] = "1" }
  local blob = t.run(p, "backup", "x").secrets[1]
  assert.equal("blob of p-x", fake.reveal(blob))
  assert.equal("x", t.run(p, "restore", "x", { value = blob }).secrets[1]:name())
  local other = t.run(p, "restore", "y", { value = blob }).secrets[1]
  assert.equal("", other:name())
  assert.equal("p-x", other:key())
end)

describe("read_only", function()
  local WRITES = { "put", "update", "delete", "recover", "purge", "restore" }

  local function frozen(rule, policy)
    fake.reset { vaults = { [t.URL] = { x = "v", y = "v" } } }
    return t.load(([[
      local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net" }
      return ml.policy {
        ml.rule "x" { from = kv %s },
        ml.rule "*" { from = kv } %s
      }
    ]]):format(rule, policy))
  end

  for _, verb in ipairs(WRITES) do
    it("of a rule refuses " .. verb .. " before anything is asked", function()
      local p = frozen(', read_only = "frozen until Friday"', "")
      local v, f = t.run(p, verb, "x", { value = fake.secret "n" })
      t.fails(v, f, "policy", ('p.lua:4: %s "x": the policy is read-only here: frozen until '
        .. "Friday"):format(verb))
      assert.equal("", t.asked())
      t.ok(t.run(p, verb, "y", { value = fake.secret "blob of y" }))
    end)
    it("of the policy refuses " .. verb .. " for all", function()
      local v, f = t.run(frozen("", ", read_only = true"), verb, "y", { value = fake.secret "n" })
      t.fails(v, f, "policy", "read-only here")
    end)
  end
  it("lets reading go on", function()
    local p = frozen("", ', read_only = "why"')
    t.ok(t.get(p, "x"))
    for _, verb in ipairs { "versions", "backup", "get_deleted", "list" } do
      t.ok(t.run(p, verb, verb ~= "list" and "x" or nil))
    end
  end)
  it("says yes or why, nothing else", function()
    for _, bad in ipairs { "false", "7", '""' } do
      local f = t.refused("return ml.policy { ml.deny 'x', read_only = " .. bad .. " }")
      assert.is_truthy(f.text:find("read_only", 1, true), f.text)
    end
  end)
end)
