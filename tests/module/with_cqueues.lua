-- with_cqueues.lua - beside cqueues, the loop of lua-http: one coroutine steps, others wait.
local world = require "world"
local cqueues = world.need "cqueues"
local condition = world.need "cqueues.condition"
local case = world.case

-- Steps whenever the descriptor is readable, until nobody is busy any more.
local function pump(r, is_busy)
  return function()
    while is_busy() do
      cqueues.poll(r, 0.05)
      assert(r:step(0))
    end
  end
end

case("20 coroutines wait, a clock ticks meanwhile", function()
  local r <close> = world.open()
  local loop = cqueues.new()
  local n, ticks, values = 0, 0, {}
  for i = 1, 20 do
    loop:wrap(function()
      local name = i % 2 == 0 and "slow/one" or "slow/two"
      local secret, e = r:await("get", name, { refresh = true }, condition.new())
      values[i] = assert(secret, e):bytes()
      n = n + 1
    end)
  end
  loop:wrap(function()
    while n < 20 do
      cqueues.sleep(0.01)
      ticks = ticks + 1
    end
  end)
  loop:wrap(pump(r, function() return n < 20 end))
  assert(loop:loop(30))
  for i = 1, 20 do assert(values[i] == (i % 2 == 0 and "first" or "second")) end
  assert(n == 20 and ticks > 0, ticks)
end)

case("failures, cancels, and a function that sleeps in the loop", function()
  local r <close> = world.open()
  local loop = cqueues.new()
  local codes, slept = {}, false
  loop:wrap(function()
    local _, e = r:await("get", "nowhere", nil, condition.new())
    codes.missing = e.code
  end)
  loop:wrap(function()
    local request = r:start("versions", "one", nil, function(_, e)
      cqueues.sleep(0.01)
      slept = true
      codes.hung = e.code
    end)
    cqueues.sleep(0.05)
    request:cancel()
  end)
  loop:wrap(pump(r, function() return not (codes.missing and codes.hung) end))
  assert(loop:loop(30))
  assert(codes.missing == "missing" and codes.hung == "canceled" and slept)
end)

case("an error in a function ends the coroutine that stepped, with its text", function()
  local r <close> = world.open()
  local loop, others = cqueues.new(), 0
  r:start("get", "one", nil, function() error("of a function", 0) end)
  r:start("get", "one", nil, function() others = others + 1 end)
  loop:wrap(pump(r, function() return true end))
  local ok, e = loop:loop(30)
  assert(not ok and tostring(e):find("of a function", 1, true), e)
  world.step_until(r, function() return others == 1 end)
end)
print "ok"
