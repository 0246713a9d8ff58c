-- sources_spec.lua - constructors of sources: options, aliases, and what reaches core.
local t = require "support.policy"

local function load_source(call)
  return t.load(("local s = %s\nreturn ml.policy { ml.rule '**' { from = s } }"):format(call), {})
end

local function made(call)
  load_source(call)
  return t.fake.plain[#t.fake.plain]
end

describe("a source of files", function()
  local CASES = {
    { "ml.dotenv { path = '/a/app.env' }", { path = "/a/app.env", alias = "app.env" } },
    { "ml.dotenv { path = '/.env' }", { path = "/.env", alias = "env" } },
    { "ml.dotenv { path = '/x/y z/', optional = true }",
      { path = "/x/y z/", alias = "y-z", optional = true } },
    { "ml.file { path = '/run/secrets/db', key = 'k', trim_newline = true }",
      { path = "/run/secrets/db", alias = "db", key = "k", trim_newline = true } },
    { "ml.directory { path = '/', hidden = true }",
      { path = "/", alias = "directory", hidden = true } },
    { "ml.local_file { path = '/v.json', holds = 'connections', alias = 'v' }",
      { path = "/v.json", alias = "v", holds = "connections" } },
    { "ml.host_source { name = 'mine' }", { name = "mine", alias = "mine" } },
    { "ml.host_source { name = '??' }", { name = "??", alias = "host_source" } },
  }
  for _, case in ipairs(CASES) do
    it("takes " .. case[1], function() assert.same(case[2], made(case[1])) end)
  end

  local REFUSED = {
    { "ml.dotenv()", "ml.dotenv needs a table of options" },
    { "ml.dotenv {}", "ml.dotenv needs 'path'" },
    { "ml.dotenv { path = '' }", "option 'path': it is empty" },
    { "ml.dotenv { path = 1 }", "option 'path': a string is needed" },
    { "ml.dotenv { path = 'a', trim_newline = true }", "ml.dotenv has no option 'trim_newline'" },
    { "ml.file { path = 'a', optional = 1 }", "option 'optional': a boolean is needed" },
    { "ml.file { path = 'a', key = '' }", "option 'key': it is empty" },
    { "ml.directory { path = 'a', key = 'x' }", "ml.directory has no option 'key'" },
    { "ml.local_file { path = 'a.json', holds = 'both' }",
      'option \'holds\': "variables" or "connections" is needed' },
    { "ml.file { path = 'a' }",
      "ml.file, option 'path': a relative path needs a policy that is a file" },
    { "ml.host_source {}", "ml.host_source needs 'name'" },
    { "ml.host_source { name = 'x', path = 'y' }", "ml.host_source has no option 'path'" },
    { "ml.file { path = '/a', alias = 'a b' }", "option 'alias'" },
    { "{ ml.file { path = '/a', alias = 'x' }, ml.dotenv { path = '/b', alias = 'x' } }",
      "two sources have the alias 'x'" },
  }
  for _, case in ipairs(REFUSED) do
    it("refuses " .. case[1], function()
      local f = t.refused("local s = " .. case[1], {})
      assert.equal("policy", f.code)
      assert.equal("p.lua:2: ", f.text:sub(1, 9))
      assert.truthy(f.text:find(case[2], 1, true), f.text)
    end)
  end

  it("has a path that begins where the policy file is", function()
    t.fake.reset { files = { ["/etc/ml/p.lua"] = [[local ml = require "moonlatch.policy"
      return ml.policy { ml.rule "**" { from = ml.file { path = "secrets/a" } } }]] } }
    t.engine.load(nil, "p.lua", "/etc/ml/p.lua")
    assert.equal("/etc/ml/secrets/a", t.fake.plain[1].path)
  end)

  it("may be there twice: the aliases differ", function()
    load_source "{ ml.file { path = '/a' }, ml.file { path = '/b/a' } }"
    assert.equal("a", t.fake.plain[1].alias)
    assert.equal("a-2", t.fake.plain[2].alias)
  end)

  it("answers and is listed like others", function()
    local p = t.load("local s = ml.dotenv { path = '/x.env' }\n"
      .. "return ml.policy { ml.rule 'a/*' { strip = 'a/', from = s } }",
      { contents = { ["/x.env"] = { K = "v" } } })
    assert.equal("x.env:K=v", t.get(p, "a/K"))
    assert.equal("a/K", (t.names(p)))
    local _, f = t.run(p, "put", "a/K")
    assert.truthy(f.text:find("no source that can be written", 1, true), f.text)
  end)
end)
