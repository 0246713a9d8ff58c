-- index_spec.lua - the index of rules never changes which rule decides, and a rule does
-- not pay for the others.
local t = require "support.policy"
local plan = require "moonlatch.plan"

local PATTERNS = { "a/b", "a/**", "a", "{x}/b", "*", "**/c", "b/*/c", "**", "b/**", "/a",
  "a*/b", "a/{x}", "b", "a/b-*", "a/b-c", "a/b-{x}/**", "a-*", "a/b-c*", "A/B" }
local NAMES = { "a", "b", "a/b", "a/c", "b/x/c", "b/x", "c", "/a", "ab/b", "x/y/c", "/", "q",
  "a/b-", "a/b-c", "a/b-cd", "a/b-c/d", "a-", "a-x", "A/B", "a/", "a/b/c/d/e/f/g" }

-- Policies of three rules, each with its own prefix; explain looks at all rules in turn.
local function policy(i, j, k, deny)
  local rules = {}
  for n, p in ipairs { PATTERNS[i], PATTERNS[j], PATTERNS[k] } do
    rules[n] = ("ml.rule %q { from = env, prefix = '%d' }"):format(p, n)
  end
  rules[2] = rules[2]:gsub('"(.-)"', '{ "%1", "zz/*", "q" }', 1)
  if deny then rules[3] = ("ml.deny %q"):format(PATTERNS[k]) end
  return t.load("local env = ml.environment {}\nreturn ml.policy { "
    .. table.concat(rules, ", ") .. " }", {})
end

it("with and without the index, the same rule decides", function()
  local decided = 0
  for i = 1, #PATTERNS do
    for j = 1, #PATTERNS do
      local p = policy(i, j, (i * 5 + j) % #PATTERNS + 1, (i + j) % 3 == 0)
      for _, name in ipairs(NAMES) do
        local _, fast = plan.make(p, name, {})
        local steps, slow = plan.make(p, name, {}, {})
        if steps then
          assert.equal(slow, fast, name)
          decided = decided + 1
        else
          assert.equal(slow.text, fast.text, name)
        end
      end
    end
  end
  assert.is_true(decided > 3000, decided)
end)

-- Lua's instructions while f runs.
local function instructions(f)
  local n = 0
  debug.sethook(function() n = n + 1 end, "", 1)
  f()
  debug.sethook()
  return n
end

local function load(n, rule)
  local rules = {}
  for i = 1, n do rules[i] = rule:gsub("#", tostring(i)) end
  return t.load("local env = ml.environment {}\nreturn ml.policy {\n"
    .. table.concat(rules, ",\n") .. " }", {})
end

-- The rule number #, the name that leads to it.
local SHAPES = {
  { "ml.rule 'team#/**' { from = env, strip = 'team#/', prefix = 't#-' }", "team#/x" },
  { "ml.rule 'airflow/connections/team#/**' { from = env }", "airflow/connections/team#/x" },
  { "ml.rule 'airflow/connections/team#-*' { from = env }", "airflow/connections/team#-x" },
  { "ml.rule 'app-#-*' { from = env }", "app-#-x" },
  { "ml.rule 'a/b/c/x#' { from = env }", "a/b/c/x#" },
  { "ml.rule { names = { ['a/b/x#'] = 'k#' }, from = env }", "a/b/x#" },
  { "ml.rule { 'x#/a', 'y#/**' } { from = env }", "y#/b" },
}

describe("the last rule costs what the first does:", function()
  for _, shape in ipairs(SHAPES) do
    it(shape[1], function()
      local function cost(p, i)
        local name = shape[2]:gsub("#", tostring(i))
        return instructions(function() assert(plan.checked(p, name, {})) end)
      end
      local only = cost(load(1, shape[1]), 1)
      for _, n in ipairs { 50, 5000 } do
        local p = load(n, shape[1])
        for _, i in ipairs { 1, n // 2, n } do
          local paid = cost(p, i)
          -- beginnings within a segment are looked for by length: there are four
          assert.is_true(paid <= only + 45, ("%d, not %d: rule %d of %d"):format(paid, only, i, n))
        end
      end
    end)
  end
end)

it("a name of many slashes is looked up no deeper than the rules go", function()
  local p = load(100, "ml.rule 'a/b#/**' { from = env }")
  local name = ("a/"):rep(500)
  assert.is_true(instructions(function() plan.make(p, name, {}) end) < 300)
end)

it("many rules load at a cost that grows as they do", function()
  local function loading(n)
    local function make()
      load(n, "ml.rule 'team#/**' { from = env, strip = 'team#/', prefix = 't#-' }")
    end
    return instructions(make)
  end
  local few, many = loading(500), loading(5000)
  assert.is_true(many < few * 12, ("%d then %d"):format(few, many))
  assert.is_true(many < 6000000, many .. " instructions: the budget is 10 million")
end)
