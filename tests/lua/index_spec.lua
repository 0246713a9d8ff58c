-- index_spec.lua - the index of rules never changes which rule decides.
local t = require "support.policy"

local PATTERNS = { "a/b", "a/**", "a", "{x}/b", "*", "**/c", "b/*/c", "**", "b/**", "/a",
  "a*/b", "a/{x}", "b" }
local NAMES = { "a", "b", "a/b", "a/c", "b/x/c", "b/x", "c", "/a", "ab/b", "x/y/c", "/", "q" }

-- Policies of three rules, each with its own prefix; explain looks at all rules in turn.
local function policy(i, j, k)
  local rules = {}
  for n, p in ipairs { PATTERNS[i], PATTERNS[j], PATTERNS[k] } do
    rules[n] = ("ml.rule %q { from = env, prefix = '%d' }"):format(p, n)
  end
  rules[2] = rules[2]:gsub('"(.-)"', '{ "%1", "zz/*" }', 1)
  return t.load("local env = ml.environment {}\nreturn ml.policy { "
    .. table.concat(rules, ", ") .. " }", {})
end

it("with and without the index, the same rule decides", function()
  local decided = 0
  for i = 1, #PATTERNS do
    for j = 1, #PATTERNS do
      local p = policy(i, j, (i * 5 + j) % #PATTERNS + 1)
      for _, name in ipairs(NAMES) do
        local plan = t.plan(p, name)
        local shown = t.run(p, "explain", name, { plan_only = true }).text
        local number = plan and plan:match(":(%d)")
        assert.equal(number, shown:match("\n  (%d)  p.lua:3 [^\n]*  matches\n"), shown)
        if number then decided = decided + 1 end
      end
    end
  end
  assert.is_true(decided > 500)
end)

-- Lua's instructions while f runs, in hundreds.
local function hundreds(f)
  local n = 0
  debug.sethook(function() n = n + 1 end, "", 100)
  f()
  debug.sethook()
  return n
end

it("many rules load at a cost that grows as they do", function()
  local function loading(n)
    local rules = {}
    for i = 1, n do
      rules[i] = i % 10 == 0 and ('ml.deny "*/x%d"'):format(i)
        or ('ml.rule "team%d/**" { from = env, strip = "team%d/", prefix = "t%d-" }')
          :format(i, i, i)
    end
    local text = "local env = ml.environment {}\nreturn ml.policy {\n"
      .. table.concat(rules, ",\n") .. " }"
    return hundreds(function() t.load(text, {}) end)
  end
  local few, many = loading(500), loading(5000)
  assert.is_true(many < few * 12, ("%d00 then %d00"):format(few, many))
  assert.is_true(many < 60000, many .. "00 instructions: the budget is 10 million")
end)
