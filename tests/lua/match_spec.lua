-- match_spec.lua - what patterns match: pattern / name / captures, or no match.
require "support.fake_core"
local match = require "moonlatch.match"

local function captured(pattern, name)
  local m = assert(match.compile(pattern))
  local captures = m.test(name)
  if not captures then return nil end
  local words = {}
  for k, v in pairs(captures) do words[#words + 1] = k .. "=" .. v end
  table.sort(words)
  return table.concat(words, " ")
end

local MATCHES = {
  { "a/b", "a/b", "" },
  { "*", "a", "" }, { "*/b", "a/b", "" }, { "a/*", "a/b", "" },
  { "a/x-*", "a/x-", "" }, { "a/*-y", "a/b-y", "" }, { "a*c*e", "abcde", "" },
  { "*-*", "-", "" }, { "a*b", "axbxb", "" },
  { "**", "a", "" }, { "**", "a/b/c", "" },
  { "a/**", "a/b", "" }, { "a/**", "a/b/c", "" }, { "a/**", "a/", "" },
  { "**/root-*", "root-x", "" }, { "**/root-*", "a/b/root-x", "" },
  { "**/root-*", "a//root-x", "" }, { "**/root-*", "/root-x", "" },
  { "a/**/z", "a/z", "" }, { "a/**/z", "a/b/c/z", "" },
  { "a/**/b/**/z", "a/b/x/b/y/z", "" }, { "**/a/**", "x/a/y", "" },
  { "**/**", "a", "" }, { "a/**/*", "a/b", "" },
  { "{env}/db", "prod/db", "env=prod" },
  { "{a}/{b}", "x/y", "a=x b=y" },
  { "db-{env}-{n}", "db-prod-1", "env=prod n=1" },
  { "{a}-{b}", "x-y-z", "a=x b=y-z" },
  { "{a}-z", "x-z-z", "a=x-z" },
  { "**/{x}/end", "a/b/c/end", "x=c" },
  { "{t}/**/{x}", "a/b/c", "t=a x=c" },
  { "a.b%/[x]/*", "a.b%/[x]/y", "" }, -- nothing else is special
}

local MISSES = {
  { "a/b", "a" }, { "a/b", "a/b/" }, { "a/b", "A/b" }, { "a/b", "a/b/c" },
  { "*", "a/b" }, { "*", "" }, { "a/*", "a/" }, { "a/*", "a" }, { "a*b", "ab/b" },
  { "a/**", "a" }, { "a/**", "ab/c" }, { "a/**/z", "a/zz" },
  { "{env}/db", "/db" }, { "x-{env}", "x-" }, { "{a}-{b}", "-y" },
  { "**/root-*", "a/roots-x" }, { "**/root-*", "root-x/y" }, { "**/a/**", "a" },
  { "a?c", "abc" },
}

local BAD = {
  { "", "empty" }, { "a**", "alone" }, { "a/**b", "alone" }, { "{", "name" },
  { "{}", "name" }, { "{a b}", "name" }, { "{a}/{a}", "twice" },
  { "{a}{b}", "side by side" }, { "*{b}", "side by side" },
}

describe("a pattern", function()
  for _, c in ipairs(MATCHES) do
    it(("%s matches %s"):format(c[1], c[2]), function()
      assert.equal(c[3], captured(c[1], c[2]))
    end)
  end
  for _, c in ipairs(MISSES) do
    it(("%s does not match '%s'"):format(c[1], c[2]), function()
      assert.is_nil(captured(c[1], c[2]))
    end)
  end
  for _, c in ipairs(BAD) do
    it(("'%s' is refused"):format(c[1]), function()
      local m, problem = match.compile(c[1])
      assert.is_nil(m)
      assert.truthy(problem:find(c[2], 1, true), problem)
    end)
  end

  it("takes no time over what would make a backtracker run for ever", function()
    local m = match.compile(("**/a*a*a*a*a*a*a*b/"):rep(8) .. "end")
    assert.is_nil(m.test(("a"):rep(100) .. ("/" .. ("a"):rep(100)):rep(9) .. "/b/end"))
  end)
end)

describe("a Lua pattern", function()
  local function lua(pattern, name)
    local m = assert(match.compile_lua(pattern, string.match))
    return m.test(name)
  end

  it("matches whole names and numbers its captures", function()
    assert.same({ "x" }, lua("^legacy/(.+)$", "legacy/x"))
    assert.same({ "x" }, lua("legacy/(.+)", "legacy/x"))
    assert.is_nil(lua("legacy", "legacy/x"))
    assert.is_nil(lua("egacy/x", "legacy/x"))
  end)
  it("may end in an escaped dollar", function()
    assert.is_table(lua("a%$", "a$"))
    assert.is_table(lua("a%%$", "a%"))
    assert.is_nil(lua("a%$", "a"))
  end)
  for _, bad in ipairs { "(a", "a)", "a%", "[a", "[^", "[a%]", "%b(", "%f[a]", "(a)%1", "[]" } do
    it(bad .. " is refused", function()
      local m, problem = match.compile_lua(bad, string.match)
      assert.is_nil(m)
      assert.is_string(problem)
    end)
  end
  for _, good in ipairs { "%(a", "[(]", "[]]", "%b()x", "[%]]", "[^]]", "()a", "%%" } do
    it(good .. " is not", function() assert.is_table(match.compile_lua(good, string.match)) end)
  end
end)
