-- sandbox.lua - what a policy file may call.
--
-- C enforces memory, instructions and wall clock, but it counts only between Lua
-- instructions: one call of a library function that runs for minutes would dodge it.  So
-- every function here that could is bounded by the size of its work, computed before,
-- and what it does charge the budget for (core.spend), so that many calls are bounded
-- too.  Methods on strings (s:rep()) are bounded in the same way.
--
-- Left out on purpose: io, os, debug, package, coroutine, load*, dofile, collectgarbage,
-- get/setmetatable, raw*, string.dump, string.pack, math.random, print.
local core = require "moonlatch.core"

local M = {}

local MAX_TEXT = 1024 * 1024      -- bytes that one call may take or make
local MAX_ITEMS = 1000 * 1000     -- elements that one call may touch
local MAX_VALUES = 10 * 1000      -- values that one call may return
local MAX_WORK = 30 * 1000 * 1000 -- character comparisons of one pattern, at worst
local FREE_WORK = 1000            -- less than this is not worth counting
local WORK_A_STEP = 64            -- bytes or comparisons that count as one instruction

local raw = {}
for k, v in pairs(string) do raw[k] = v end

local function fail(level, ...) error(raw.format(...), level + 1) end

local function spend(work)
  if work > FREE_WORK then core.spend(work // WORK_A_STEP) end
end

local function check_text(what, s)
  if type(s) ~= "string" then return end
  if #s > MAX_TEXT then fail(3, "%s: the text is longer than %d bytes", what, MAX_TEXT) end
  spend(#s)
end

-- f(x, i, j) returns a value for each of i..j; n is the length of x.  What is no number
-- is for Lua to complain about.
local function check_values(what, n, i, j)
  i, j = math.tointeger(tonumber(i)), math.tointeger(tonumber(j))
  if not i or not j then return end
  if i < 0 then i = math.max(n + i + 1, 1) end
  if j < 0 then j = n + j + 1 end
  if j >= i and math.ult(MAX_VALUES - 1, j - i) then
    fail(3, "%s: more than %d values", what, MAX_VALUES)
  end
end

-- ---- patterns ----

local BRANCHES = { ["*"] = true, ["+"] = true, ["-"] = true, ["?"] = true }

-- The place behind the set that begins at `at`: "[^]a%]b]".
local function behind_set(pattern, at)
  at = at + 1
  if raw.sub(pattern, at, at) == "^" then at = at + 1 end
  repeat
    at = at + (raw.sub(pattern, at, at) == "%" and 2 or 1)
  until at > #pattern or raw.sub(pattern, at, at) == "]"
  return at + 1
end

-- How much work a pattern may be on n bytes: each of * + - can stop anywhere, so work
-- grows with n to the power of their number; without ^ it starts anywhere, too (in gmatch
-- always); and each start may compare the whole of what is literal.
local function pattern_work(n, pattern, is_gmatch)
  local anchored = not is_gmatch and raw.sub(pattern, 1, 1) == "^"
  local work = anchored and 1 or n + 1
  local at, longest_set, run, longest_run = 1, 1, 0, 1
  while at <= #pattern and work <= MAX_WORK do
    local c, next_at = raw.sub(pattern, at, at), at + 1
    if c == "%" then
      c = raw.sub(pattern, at + 1, at + 1)
      next_at = at + (c == "b" and 4 or 2)
      if c == "b" or raw.find(c, "%d") then work = work * (n + 1) end
    elseif c == "[" then
      next_at = behind_set(pattern, at)
      longest_set = math.max(longest_set, next_at - at)
    elseif BRANCHES[c] then
      work = work * (c == "?" and 2 or n + 1)
    end
    run = BRANCHES[c] and 0 or run + 1
    if run > longest_run then longest_run = run end
    at = next_at
  end
  return work * longest_set * (1 + math.min(longest_run, n) // 8)
end

local function check_pattern(what, s, pattern, plain, is_gmatch)
  if type(s) == "number" then s = tostring(s) end
  if type(pattern) == "number" then pattern = tostring(pattern) end
  if type(s) ~= "string" or type(pattern) ~= "string" then return end -- Lua complains
  check_text(what, s)
  local work
  if plain then
    work = #s * #pattern
  else
    work = pattern_work(#s, pattern, is_gmatch)
  end
  if work > MAX_WORK then
    fail(3, "%s: this pattern on %d bytes could run too long", what, #s)
  end
  spend(work)
end

-- ---- string ----

local str = { char = raw.char, len = raw.len, sub = raw.sub }

function str.byte(s, i, j)
  if j ~= nil and type(s) == "string" then
    check_values("string.byte", #s, i or 1, math.type(j) == "integer" and j > #s and #s or j)
  end
  return raw.byte(s, i, j)
end

for _, name in ipairs { "lower", "reverse", "upper" } do
  local f = raw[name]
  str[name] = function(s)
    check_text("string." .. name, s)
    return f(s)
  end
end

function str.find(s, pattern, init, plain)
  check_pattern("string.find", s, pattern, plain)
  return raw.find(s, pattern, init, plain)
end

function str.match(s, pattern, init)
  check_pattern("string.match", s, pattern)
  return raw.match(s, pattern, init)
end

function str.gmatch(s, pattern, init)
  check_pattern("string.gmatch", s, pattern, false, true)
  return raw.gmatch(s, pattern, init)
end

function str.gsub(s, pattern, by, n)
  check_pattern("string.gsub", s, pattern)
  if type(s) == "string" and type(by) == "string" and (#s + 1) * #by > MAX_TEXT * 16 then
    fail(2, "string.gsub: the result could be too long")
  end
  return raw.gsub(s, pattern, by, n)
end

function str.rep(s, n, sep)
  local size = #tostring(s) + (sep and #tostring(sep) or 0)
  local times = tonumber(n)
  if times and times > 0 and (times > MAX_TEXT or size * times > MAX_TEXT) then
    fail(2, "string.rep: the result is longer than %d bytes", MAX_TEXT)
  end
  spend(times and times > 0 and size * times or 0)
  return raw.rep(s, n, sep)
end

function str.format(format, ...)
  local size = type(format) == "string" and #format or 0
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    size = size + (type(v) == "string" and #v or 128)
  end
  if size > MAX_TEXT then
    fail(2, "string.format: the result is longer than %d bytes", MAX_TEXT)
  end
  spend(size)
  return raw.format(format, ...)
end

-- ---- table ----

-- A border of a table with holes can be 2^62 away.
local function check_length(what, t)
  if type(t) == "table" and #t > MAX_ITEMS then
    fail(3, "%s: more than %d elements", what, MAX_ITEMS)
  end
end

local tab = { pack = table.pack }

-- Here a negative place is no place from the end.
function tab.unpack(t, i, j)
  if type(t) == "table" then
    local from, to = math.tointeger(tonumber(i or 1)), math.tointeger(tonumber(j or #t))
    if from and to and to >= from and math.ult(MAX_VALUES - 1, to - from) then
      fail(2, "table.unpack: more than %d values", MAX_VALUES)
    end
  end
  return table.unpack(t, i, j)
end

-- In the middle, everything behind moves.
for _, name in ipairs { "insert", "remove" } do
  local f, what, n_at_end = table[name], "table." .. name, name == "insert" and 1 or 0
  tab[name] = function(t, ...)
    check_length(what, t)
    if type(t) == "table" and select("#", ...) > n_at_end then spend(#t * WORK_A_STEP) end
    return f(t, ...)
  end
end

-- Compared in Lua, where the budget looks on, also by a function of Lua's own (next).
local function less(a, b) return a < b end

function tab.sort(t, before)
  check_length("table.sort", t)
  if type(before) ~= "function" then return table.sort(t, before or less) end
  return table.sort(t, function(a, b) return (before(a, b)) end)
end

function tab.concat(t, sep, i, j)
  check_length("table.concat", t)
  local size = 0
  for k = i or 1, j or #t do
    local v = t[k]
    size = size + (type(v) == "string" and #v or 24) + (sep and #tostring(sep) or 0)
    if size > MAX_TEXT then
      fail(2, "table.concat: the result is longer than %d bytes", MAX_TEXT)
    end
    if v == nil then break end
  end
  return table.concat(t, sep, i, j)
end

-- ---- utf8 ----

local function bounded_utf8()
  local u = { charpattern = utf8.charpattern, char = utf8.char }
  for _, name in ipairs { "codes", "len", "offset" } do
    local f = utf8[name]
    u[name] = function(s, ...)
      check_text("utf8." .. name, s)
      return f(s, ...)
    end
  end
  function u.codepoint(s, i, j, lax)
    check_text("utf8.codepoint", s)
    if type(s) == "string" then
      check_values("utf8.codepoint", #s, i or 1, j or i or 1)
    end
    return utf8.codepoint(s, i, j, lax)
  end
  return u
end

-- ---- the environment ----

local function copy_of(t, without)
  local c = {}
  for k, v in pairs(t) do c[k] = v end
  for _, k in ipairs(without or {}) do c[k] = nil end
  return c
end

-- A source that is shipped as Lua (lua/moonlatch/source) is loaded into an environment of
-- its own, with this policy's ml: it can do what the policy itself could, and no more.
local function shipped_source(ml, name)
  local text = core.module_text(name)
  if not text then return nil end
  local chunk, problem = load(text, "=" .. name, "t", M.environment(ml))
  if not chunk then error(problem, 0) end
  return chunk()
end

local function requirer(ml)
  local loaded = {}
  return function(name)
    if name == "moonlatch.policy" then return ml end
    local is_source = type(name) == "string" and raw.find(name, "^moonlatch%.source%.[%w_]+$")
    if is_source and loaded[name] == nil then loaded[name] = shipped_source(ml, name) end
    if is_source and loaded[name] ~= nil then return loaded[name] end
    fail(2, "require: a policy may use 'moonlatch.policy' and the sources "
      .. "'moonlatch.source.vault', '.aws' and '.exec', not '%s'", tostring(name))
  end
end

-- A fresh _ENV for one policy file; ml is what it gets as moonlatch.policy.
function M.environment(ml)
  local env = {
    assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs,
    pcall = pcall, xpcall = xpcall, select = select, tonumber = tonumber,
    tostring = tostring, type = type, _VERSION = _VERSION,
    string = copy_of(str), table = copy_of(tab),
    math = copy_of(math, { "random", "randomseed" }),
    utf8 = bounded_utf8(),
    require = requirer(ml),
  }
  env._G = env
  return env
end

-- Bounds s:rep() and the like for everybody in this Lua state: methods on strings are
-- looked up in the table `string`, which the policy never gets.
function M.guard_strings()
  for name in pairs(raw) do rawset(string, name, str[name]) end
end

-- string.match, bounded: for patterns that a policy gave to us.
M.string_match = str.match

return M
