-- sandbox_spec.lua - what a policy cannot reach, and work that is refused by its size.
local t = require "support.policy"
local sandbox = require "moonlatch.sandbox"

local function run(text, guarded)
  local saved = {}
  for k, v in pairs(string) do saved[k] = v end
  if guarded then sandbox.guard_strings() end
  local chunk = assert(load(text, "@p.lua", "t", sandbox.environment({ is = "ml" })))
  local results = table.pack(pcall(chunk))
  for k, v in pairs(saved) do rawset(string, k, v) end
  return table.unpack(results, 1, results.n)
end

describe("a policy does not see", function()
  for _, name in ipairs { "io", "os", "debug", "package", "coroutine", "load", "loadstring",
    "loadfile", "dofile", "collectgarbage", "getmetatable", "setmetatable", "rawget",
    "rawset", "rawequal", "rawlen", "print", "warn", "string.dump", "string.pack",
    "string.unpack", "string.packsize", "math.random", "math.randomseed", "table.move" } do
    it(name, function()
      local fine, value = run("return " .. name)
      assert.is_true(fine)
      assert.is_nil(value)
    end)
  end
  it("other modules", function()
    for _, name in ipairs { "os", "moonlatch.core", "moonlatch.engine", "cjson", "" } do
      local fine, problem = run(("require %q"):format(name))
      assert.is_false(fine)
      assert.truthy(problem:find("^p.lua:1: require"), problem)
    end
  end)
  for _, name in ipairs { "dump", "pack", "unpack", "packsize" } do
    it("the method " .. name, function()
      local fine, value = run(("return ('x').%s"):format(name), true)
      assert.is_true(fine)
      assert.is_nil(value)
    end)
  end
  it("the tables of others", function()
    run("string.rep = nil; math.floor = nil; table.concat = nil; x = 1; _G.y = 2")
    assert.is_function(string.rep)
    assert.is_function(math.floor)
    assert.is_nil(rawget(_G, "x"))
    assert.same({ true, 1 }, { run("return 1 + (x and 1 or 0)") })
  end)
end)

it("a policy gets its own constructors", function()
  local fine, ml = run("return require 'moonlatch.policy'")
  assert.is_true(fine)
  assert.equal("ml", ml.is)
  t.load "ml.rule = nil; return ml.policy { ml.deny 'x' }"
  t.load "ml.rule 'x' { map = function() end } return ml.policy { ml.deny 'x' }"
end)

local BIG = "local a = ('a'):rep(1000)\n"

-- Would run for minutes, or fill the memory.
local REFUSED = {
  "local r = string.rep('x', 1 << 40)",
  "local r = ('x'):rep(1 << 40)",
  "local r = ('x'):rep(1 << 20, 'yy')",
  "local r = string.rep(('x'):rep(1 << 10), 1 << 11)",
  BIG .. "local r = string.find(a, ('a*'):rep(20) .. 'b')",
  BIG .. "local r = a:find(('a-'):rep(20) .. 'b')",
  BIG .. "local r = a:match(('.?'):rep(40) .. 'b')",
  BIG .. "local r = a:match('^.*.*.*b')",
  BIG .. "local r = a:gsub('a*a*a*b', '')",
  BIG .. "for _ in a:gmatch('a*a*a*b') do end",
  "local r = (''):rep(1 << 62)",
  "for _ in (('^'):rep(300000)):gmatch('^%^*b') do end",
  "local r = (('a'):rep(1000000)):match(('a'):rep(20000) .. 'b')",
  "local s = ('a'):rep(1000000) local r = (s .. s):upper()",
  "local s = ('a'):rep(1000000) local r = utf8.len(s .. s)",
  BIG .. "local r = a:match('^%b[].-.-.-b')",
  BIG .. "local r = a:match('^[]]*[^]]*[%]a]*.-b')",
  BIG .. "local r = a:match('^(.-)%1%1%1b')",
  "local r = ('a'):rep(1 << 16):find(('a'):rep(1 << 15) .. 'b', 1, true)",
  "local a = ('a'):rep(1 << 19) local r = a:gsub('a', a)",
  "local a = ('a'):rep(1 << 19) local r = ('%s%s%s'):format(a, a, a)",
  "local a = ('a'):rep(1 << 19) local r = table.concat({ a, a, a })",
  "local v = {} for i = 1, 300 do v[i] = 'x' end "
    .. "local r = table.concat(v, ('a'):rep(1 << 12))",
  "local v = {} for i = 1, 1000001 do v[i] = i end table.insert(v, 1, 0)",
  "local v = {} for i = 1, 1000001 do v[i] = i end table.remove(v, 1)",
  "local v = {} for i = 1, 1000001 do v[i] = i end table.sort(v)",
  "local r = { table.unpack({}, 1, 10001) }",
  "local r = { table.unpack({}, math.mininteger, math.maxinteger) }",
  "local r = { (('x'):rep(10001)):byte(1, -1) }",
  "local r = { (('x'):rep(10001)):byte(math.mininteger, math.maxinteger) }",
  "local r = { utf8.codepoint(('x'):rep(10001), 1, -1) }",
}

describe("a bomb is refused:", function()
  for _, text in ipairs(REFUSED) do
    it((text:gsub("\n", " ")), function()
      local began = os.clock()
      local fine, problem = run(text, true)
      assert.is_false(fine)
      assert.truthy(tostring(problem):find("^p.lua:[12]: "), tostring(problem))
      assert.is_true(os.clock() - began < 5)
    end)
  end
end)

-- text, result: everyday work is as ever.
local FINE = {
  { "return ('a/b_c'):gsub('[/_]', { ['/'] = '--', _ = '-' })", "a--b-c" },
  { "return ('  x '):match('^%s*(.-)%s*$')", "x" },
  { "return (('x'):rep(300)):match('^%s*(.-)%s*$'):sub(1, 1)", "x" },
  { "return ('a/b/c'):match('^(.-)/(.-)/(.*)$')", "a" },
  { "return ('a.b'):find('.', 1, true)", 2 },
  { "return ('%s-%03d'):format('a', 7)", "a-007" },
  { "return table.concat({ 'a', 1, 'b' }, '-')", "a-1-b" },
  { "return table.concat({ 'a', 'b', 'c' }, '-', 2, 3)", "b-c" },
  { "local v = { 3, 1, 2 } table.sort(v) return v[1]", 1 },
  { "local v = {} table.insert(v, 'a') table.insert(v, 1, 'b') return v[1]", "b" },
  { "local v = { 'a', 'b' } return table.remove(v, 1)", "a" },
  { "local n = 0 for w in ('a b'):gmatch('%a') do n = n + 1 end return n", 2 },
  { "return ('x'):rep(3, ',')", "x,x,x" },
  { "return (123):type()", nil, "attempt to index a number value" },
  { "return ('x'):rep()", nil, "number expected" },
  { "return ('x'):find()", nil, "string expected" },
  { "return table.concat({ {} })", nil, "invalid value" },
  { "return math.floor(2.5)", 2 },
  { "return utf8.len('ä')", 1 },
  { "return select('#', table.unpack({ 1, 2 }))", 2 },
  { "return select('#', table.unpack({}, -2, 2))", 5 },
  { "return select('#', table.unpack({}, 1, 10000))", 10000 },
  { "return select('#', table.unpack({}, 3, 2))", 0 },
  { "return ('abc'):byte(-1)", 99 },
  { "return select('#', ('abc'):byte(1, 1 << 62))", 3 },
  { "return select('#', ('abc'):byte(5, 9))", 0 },
  { "return ('abc'):byte('x')", nil, "number expected" },
  { "return utf8.codepoint('\u{e4}')", 0xe4 },
  { "return select('#', utf8.codepoint('abc', 1, -1))", 3 },
  { "return utf8.codepoint('abc', 1, 9)", nil, "out of bounds" },
  { "local v = { 1, 3, 2 } table.sort(v, function(a, b) return a > b end) return v[1]", 3 },
  { "table.sort({ 2, 1 }, 7)", nil, "function expected" },
}

describe("everyday work is done:", function()
  for _, c in ipairs(FINE) do
    it(c[1], function()
      local fine, value = run(c[1], true)
      assert.equal(c[3] == nil, fine, tostring(value))
      if fine then
        assert.equal(c[2], value)
      else
        assert.truthy(value:find(c[3], 1, true), value)
      end
    end)
  end
end)
