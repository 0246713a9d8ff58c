-- list_spec.lua - keys mapped back to names; only names that can be got are listed.
local t = require "support.policy"
local fake = t.fake

local SOURCES = [[
local kv = ml.azure_key_vault { vault_url = "https://kv.vault.azure.net" }
local sh = ml.azure_key_vault { vault_url = "https://sh.vault.azure.net" }
local env = ml.environment { alias = "env" }
]]

local function load(rules, kv, sh, env)
  fake.reset { env = env, vaults = {
    ["https://kv.vault.azure.net"] = kv, ["https://sh.vault.azure.net"] = sh } }
  return t.load(SOURCES .. "return ml.policy { " .. rules .. " }")
end

local function keys(text)
  local out = {}
  for key in text:gmatch("%S+") do out[key] = "v" end
  return out
end

-- rules, keys in kv, pattern, context, names
local LISTS = {
  { "ml.rule '**' { from = kv }", "b a c", nil, {}, "a b c" },
  { "ml.rule '**' { from = kv }", "b a c", "", {}, "a b c" },
  { "ml.rule '**' { from = kv }", "ba ac ca", "*a", {}, "ba ca" },
  { "ml.rule '**' { from = kv }", "", nil, {}, "" },
  { "ml.rule 'b/**' { from = kv, strip = 'b/', prefix = 'p-' }", "p-x q-y p-", nil, {},
    "b/ b/x" },
  { "ml.rule 'b/**' { from = kv, strip = 'b/', prefix = '{env}-' }", "qa-x pr-y", nil,
    { env = "qa" }, "b/x" },
  { "ml.rule '**' { from = kv, prefix = { 'a-', 'a-b-' } }", "a-b-x", nil, {}, "b-x x" },
  { "ml.rule '**' { from = kv, suffix = '-s' }", "x-s y -s", nil, {}, "x" },
  { "ml.rule 'b/**' { from = kv, replace = { ['/'] = '--', _ = '-' } }", "b--x-y b-z", nil,
    {}, "b/x_y" },
  { "ml.rule '**' { from = kv, replace = { ['/'] = '-', _ = '-' } }", "a-b", nil, {},
    "a/b" },
  { "ml.rule '*' { from = kv, replace = { _ = '-' } }", "a-b", nil, {}, "a_b" },
  { "ml.rule '**' { from = kv, lower = true }", "ABC x", nil, {}, "abc x" },
  { "ml.rule '**' { from = kv, prefix = 'p-' }", "P-X", nil, {}, "X" },
  { "ml.rule { from = kv, names = { a = 'old', b = 'OLD', c = 'new' } }", "Old", nil, {},
    "a b" },
  { "ml.rule '**' { from = kv, prefix = 'p-', names = { a = 'old' } }", "old p-a p-b", nil,
    {}, "a b" },
  { "ml.deny 'root-*', ml.rule '**' { from = kv }", "root-x y", nil, {}, "y" },
  { "ml.rule 'a' { from = sh }, ml.rule '**' { from = kv }", "a b", nil, {}, "b" },
  { "ml.rule 'x/**' { from = kv, strip = 'x/' }, ml.rule 'y/**' { from = kv, strip = 'y/' }",
    "k", nil, {}, "x/k y/k" },
  { "ml.rule '**' { from = kv, strip = 'a/' }", "k", nil, {}, "a/k" },
}

describe("list of", function()
  for _, c in ipairs(LISTS) do
    it(c[1] .. " over " .. c[2], function()
      local names, answer = t.names(load(c[1], keys(c[2])), c[3], c[4])
      t.ok(names, answer)
      assert.equal(c[5], names)
    end)
  end

  it("the environment", function()
    local p = load("ml.rule '**' { from = env, upper = true, prefix = 'APP_' }", nil, nil,
      keys "APP_DB HOME APP_X_Y")
    assert.equal("db x_y", t.names(p))
  end)
end)

describe("what is listed", function()
  it("can be got, from that very key", function()
    local p = load("ml.rule 'b/**' { from = { kv, sh }, strip = 'b/', "
      .. "replace = { ['/'] = '--', _ = '-' }, prefix = { '1-', '2-' } }",
      keys "1-a--b 2-a--b 2-c", keys "1-a--b 1-d")
    local names, answer = t.names(p)
    assert.equal("b/a/b b/c b/d", names)
    local from = {}
    for i, s in ipairs(answer.secrets) do
      from[i] = s:source() .. ":" .. s:key()
      assert.is_false(s:has_value())
      assert.equal(from[i] .. "=v", (t.get(p, s:name())))
    end
    assert.same({ "kv:1-a--b", "kv:2-c", "sh:1-d" }, from)
  end)
  it("keeps its attributes", function()
    local p = load("ml.rule '**' { from = kv }", {
      off = { value = "v", attributes = { enabled = false } },
      cert = { value = "v", attributes = { enabled = true, managed = true } } })
    local names, answer = t.names(p)
    assert.equal("cert off", names)
    assert.is_true(answer.secrets[1]:attributes().managed)
    assert.is_false(answer.secrets[2]:attributes().enabled)
  end)
  it("is asked once of each source", function()
    local p = load("ml.rule 'a/**' { from = kv }, ml.rule '**' { from = { kv, sh } }")
    t.ok(t.names(p))
    assert.equal("list kv:, list sh:", t.asked())
  end)
end)

describe("what is not listed is said:", function()
  local function text(rules, context, verb)
    local _, answer = t.names(load(rules, keys "a", nil, keys "a"), nil, context, verb)
    return answer.text
  end
  it("a function", function()
    assert.equal("not listed: rule 1, * (p.lua:5): a function maps its names",
      text("ml.rule '*' { map = function() end }"))
  end)
  it("a capture in a prefix", function()
    assert.truthy(text("ml.rule '{t}/*' { from = kv, prefix = '{t}-' }"):find("{t}", 1, true))
  end)
  it("a replacement that deletes", function()
    assert.truthy(text("ml.rule '*' { from = kv, replace = { _ = '' } }"):find("deletes"))
  end)
  it("a source that cannot", function()
    local s = text("ml.rule '*' { from = { kv, env } }", nil, "list_deleted")
    assert.equal("not listed: env (environment) cannot list deleted", s)
  end)
  it("nothing otherwise", function()
    assert.equal("", text("ml.deny 'x', ml.rule '*' { from = kv }"))
  end)
end)

describe("list fails", function()
  it("when one source does: half a list would look whole", function()
    local p = load("ml.rule '**' { from = { sh, kv } }",
      { [fake.list_answer] = { fails = "forbidden" } }, keys "a")
    local names, f = t.names(p)
    t.fails(names, f, "forbidden")
    assert.equal("kv", f.source)
  end)
  it("on a malformed pattern", function()
    local names, f = t.names(load("ml.rule '**' { from = kv }"), "a**")
    t.fails(names, f, "usage", "pattern 'a**'")
  end)
end)

it("list_deleted maps names in the same way", function()
  fake.reset { deleted = { ["https://kv.vault.azure.net"] = keys "p-x q" } }
  local p = t.load(SOURCES .. "return ml.policy { ml.rule '**' { from = kv, prefix = 'p-' } }")
  assert.equal("x", t.names(p, nil, nil, "list_deleted"))
end)

it("a custom rule is listed by its inverse", function()
  fake.reset { vaults = { [t.URL] = keys "c-x c-y z" } }
  package.loaded["moonlatch.airflow"] = { rule = function(_, ml)
    local kv = ml.azure_key_vault { vault_url = t.URL }
    return {
      match = function(name) return name:find("^c/") and { id = name:sub(3) } or nil end,
      map = function(req) return { kv:key("c-" .. req.captures.id) } end,
      inverse = function(handle, key)
        assert(handle == kv)
        if key == "c-x" then return "c/x" end
        return { "c/" .. key:sub(3), "c/other", "d" }
      end,
      sources = { kv },
    }
  end }
  local p = t.load "return ml.policy { ml.airflow {} }"
  package.loaded["moonlatch.airflow"] = nil
  assert.equal("c/x c/y", t.names(p))
end)
