-- loader_spec.lua - policies of files: one, and a directory of them.
local t = require "support.policy"

local HEAD = 'local ml = require "moonlatch.policy"\n'
local VAULT = HEAD .. "local kv = ml.azure_key_vault { vault_url = 'https://acme.vault.azure.net' }\n"

local function files(list)
  local named = {}
  for name, text in pairs(list) do named["/etc/ml/" .. name] = text end
  return { files = named, env = { A = "1", B = "2" } }
end

local function directory(list) return t.load_path(files(list), "/etc/ml/policy.d") end
local function refused(list) return t.refused_path(files(list), "/etc/ml/policy.d").text end

local FROM_ENV = HEAD .. "return ml.policy { ml.rule '%s' { from = ml.environment {}, strip = '%s' } }"

local function env_file(pattern, strip) return FROM_ENV:format(pattern, strip) end

describe("one file", function()
  it("is loaded under the path that the user gave", function()
    local p = t.load_path(files { ["policy.lua"] = env_file("x/*", "x/") })
    assert.equal("environment:A=1", (t.get(p, "x/A")))
    assert.equal("policy.lua:2", p.rules[1].where)
    assert.same({ { path = "policy.lua", is_world_writable = false } }, p.files)
  end)
  it("that is not there is an error with its path", function()
    local f = t.refused_path({}, "/etc/ml/none.lua")
    t.fails(nil, f, "policy", "policy none.lua cannot be read: No such file")
  end)
end)

describe("a directory", function()
  it("is read in the order of its names, and the first match decides", function()
    local p = directory {
      ["policy.d/20-b.lua"] = env_file("**", "x/"),
      ["policy.d/10-a.lua"] = HEAD .. "return ml.policy { ml.deny 'x/B' }",
    }
    assert.equal("environment:A=1", (t.get(p, "x/A")))
    local _, f = t.get(p, "x/B")
    t.fails(nil, f, "policy", "policy.d/10-a.lua:2")
    assert.equal(2, #p.rules)
  end)
  it("leaves out hidden files, other files, and folders", function()
    local p = directory {
      ["policy.d/a.lua"] = env_file("**", "x/"), ["policy.d/.b.lua"] = "error()",
      ["policy.d/README"] = "no Lua", ["policy.d/teams/c.lua"] = "error()",
    }
    assert.equal(1, #p.rules)
  end)
  it("without a policy is an error", function()
    assert.truthy(refused { ["policy.d/README"] = "x" }:find("the directory has no policy", 1, true))
  end)
  it("says in which file and line a mistake is", function()
    local text = refused {
      ["policy.d/a.lua"] = env_file("a/**", "a/"),
      ["policy.d/b.lua"] = HEAD .. "\nreturn ml.policy { ml.rule 'x' { form = 1 } }",
    }
    assert.truthy(text:find("^policy.d/b.lua:3: ml.rule has no option 'form'"), text)
    text = refused { ["policy.d/a.lua"] = env_file("a/**", "a/"), ["policy.d/b.lua"] = "x = = 1" }
    assert.truthy(text:find("policy.d/b.lua:1", 1, true), text)
    text = refused { ["policy.d/a.lua"] = env_file("a/**", "a/"), ["policy.d/b.lua"] = "return 1" }
    assert.truthy(text:find("policy.d/b.lua:1: the file must return ml.policy", 1, true), text)
  end)
  it("gives each file its own globals and constructors", function()
    local p = directory {
      ["policy.d/a.lua"] = HEAD .. [[
        shared = "leak"; ml.environment = nil; ml.leak = 1; string.rep = nil; table.x = 1
        return ml.policy { ml.deny "a" }]],
      ["policy.d/b.lua"] = HEAD .. [[
        assert(shared == nil and string.rep and table.x == nil)
        for name in pairs(ml) do assert(name ~= "leak") end
        return ml.policy { ml.rule "x/*" { strip = "x/", from = ml.environment {} } }]],
    }
    assert.equal("environment:A=1", (t.get(p, "x/A")))
  end)
  it("makes the aliases of its sources unique", function()
    local text = VAULT .. "return ml.policy { ml.rule '%s/*' { strip = '%s/', from = kv } }"
    local p = directory {
      ["policy.d/a.lua"] = text:format("a", "a"), ["policy.d/b.lua"] = text:format("b", "b"),
    }
    assert.equal("acme:k", (t.plan(p, "a/k")))
    assert.equal("acme-2:k", (t.plan(p, "b/k")))
  end)
  it("refuses an alias that two files ask for, with both places", function()
    local text = HEAD .. "local e = ml.environment { alias = 'vars' }\nreturn ml.policy { ml.deny 'a' }"
    local problem = refused { ["policy.d/a.lua"] = text, ["policy.d/b.lua"] = text }
    assert.truthy(problem:find("policy.d/b.lua:2: two sources have the alias 'vars'", 1, true), problem)
    assert.truthy(problem:find("policy.d/a.lua:2", 1, true), problem)
  end)
  it("maps functions with the sources of their own file only", function()
    local p = directory {
      ["policy.d/a.lua"] = HEAD .. "local e = ml.environment {}\nreturn ml.policy { "
        .. "ml.rule 'a/*' { map = function(r) return e:key(r.leaf) end } }",
      ["policy.d/b.lua"] = HEAD .. "local e = ml.environment {}\nreturn ml.policy { "
        .. "ml.rule 'b/*' { map = function(r) return e:key(r.leaf) end } }",
    }
    assert.equal("environment:A", (t.plan(p, "a/A")))
    assert.equal("environment-2:B", (t.plan(p, "b/B")))
  end)
  it("lists the names of all its files", function()
    local text = VAULT .. "return ml.policy { ml.rule '%s/*' { strip = '%s/', prefix = '%s-', from = kv } }"
    local script = files {
      ["policy.d/a.lua"] = text:format("a", "a", "a"), ["policy.d/b.lua"] = text:format("b", "b", "b"),
    }
    script.vaults = { [t.URL] = { ["a-one"] = "1", ["b-two"] = "2" } }
    assert.equal("a/one b/two", (t.names(t.load_path(script, "/etc/ml/policy.d"))))
  end)
end)
