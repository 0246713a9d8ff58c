-- with_luv.lua - beside luv: one poll handle steps, coroutines wait.
local world = require "world"
local uv = world.need "luv"
local case = world.case

local function watch(r)
  local poll = uv.new_poll(r:fd())
  poll:start("r", function(e)
    assert(not e, e)
    assert(r:step(0))
  end)
  return poll
end

local function run_until(is_true)
  local limit = uv.new_timer()
  limit:start(30000, 0, function() error "nothing happens" end)
  while not is_true() do uv.run "once" end
  limit:close()
end

case("20 coroutines wait, a timer ticks meanwhile", function()
  local r <close> = world.open()
  local poll, n, ticks = watch(r), 0, 0
  local clock = uv.new_timer()
  clock:start(10, 10, function() ticks = ticks + 1 end)
  for i = 1, 20 do
    coroutine.wrap(function()
      local secret = assert(r:await("get", i % 2 == 0 and "slow/one" or "slow/two"))
      assert(secret:bytes() == (i % 2 == 0 and "first" or "second"))
      n = n + 1
    end)()
  end
  run_until(function() return n == 20 end)
  assert(ticks > 0)
  poll:close()
  clock:close()
  uv.run()
end)

case("functions, failures and deadlines; nothing is left in the loop", function()
  local r = world.open()
  local poll, codes = watch(r), {}
  r:start("get", "one", nil, function(secret) codes.one = secret:bytes() end)
  r:start("get", "off", nil, function(_, e) codes.off = e.code end)
  r:start("versions", "one", nil, function(_, e) codes.late = e.code end):deadline(50)
  run_until(function() return codes.one and codes.off and codes.late end)
  assert(codes.one == "first" and codes.off == "disabled" and codes.late == "unavailable")
  poll:close() -- before the descriptor goes
  r:close()
  assert(not uv.run())
end)

case("what a blocking call ended meanwhile is told by the next turn of the loop", function()
  local r <close> = world.open()
  local poll, told = watch(r), false
  r:start("get", "one", nil, function() told = true end)
  assert(r:get("slow/two") and r:get("slow/one"))
  assert(not told)
  run_until(function() return told end)
  poll:close()
  uv.run()
end)
print "ok"
