-- stock.lua - the module in a Lua that knows nothing of it: blocking, stepping, coroutines.
local moonlatch = require "moonlatch"
local world = require "world"
local case, raises, step_until = world.case, world.raises, world.step_until

case("blocking, from the main program and from a coroutine", function()
  local r <close> = world.open()
  assert(r:get("one"):bytes() == "first")
  local co = coroutine.wrap(function() return r:get("two"):bytes() end)
  assert(co() == "second")
  local secret, e = r:get("nowhere")
  assert(secret == nil and e.code == "missing" and e.key == "nowhere")
  assert(moonlatch.version:find "^%d+%.%d+%.%d+$")
end)

case("start: later, once, with what the verb's own method would return", function()
  local r <close> = world.open()
  local ends = {}
  local function note(name)
    return function(answer, e)
      assert(ends[name] == nil)
      ends[name], ends.n = { answer, e }, (ends.n or 0) + 1
    end
  end
  assert(r:timeout_ms() == -1)
  assert(r:start("get", "one", nil, note "get"))
  assert(r:start("get", "nowhere", { timeout_ms = 20000 }, note "missing"))
  assert(r:start("get", "off", nil, note "disabled"))
  assert(r:start("list", nil, nil, note "list"))
  assert(r:start("put", "new", "\0bytes", { tags = { a = "b" } }, note "put"))
  assert(r:start("explain", "one", { plan_only = true }, note "explain"))
  assert(ends.n == nil and r:timeout_ms() >= 0 and r:fd() >= 0)
  step_until(r, function() return ends.n == 6 end)
  assert(ends.get[1]:bytes() == "first" and ends.get[2] == nil)
  assert(ends.missing[1] == nil and ends.missing[2].code == "missing")
  assert(ends.disabled[2].code == "disabled")
  assert(#ends.list[1].secrets >= 3)
  assert(ends.put[1].secrets[1]:tags().a == "b")
  assert(ends.explain[1].text:find("one", 1, true))
  assert(r:step(0) == 0 and r:timeout_ms() == -1)
  assert(r:start("get", "one", nil, note "hit")) -- kept: later all the same
  assert(ends.hit == nil)
  step_until(r, function() return ends.hit end)
  assert(r:get("new"):bytes() == "\0bytes")
end)

case("an error in a function is the step's; the others have their turn", function()
  local r <close> = world.open()
  local n = 0
  for i = 1, 4 do
    r:start("get", "one", nil, function(secret)
      assert(secret:bytes() == "first")
      n = n + 1
      if i % 2 == 1 then error("oops " .. i, 0) end
    end)
  end
  local errors = {}
  while n < 4 do
    local ok, e = pcall(r.step, r, 1000)
    if not ok then
      errors[#errors + 1] = e
      if n < 4 then assert(r:timeout_ms() == 0) end -- what is left is due
    end
  end
  table.sort(errors)
  assert(table.concat(errors, ",") == "oops 1,oops 3", table.concat(errors, ","))
  assert(r:step(0) == 0)
end)

case("cancel and deadline", function()
  local r <close> = world.open()
  local ends = {}
  local function hang(name)
    return r:start("versions", "one", nil, function(_, e) ends[name] = e.code end)
  end
  local canceled, late = hang "canceled", hang "late"
  r:step(50)
  canceled:cancel()
  canceled:cancel()
  late:deadline(100000000) -- never later than it was
  late:deadline(50)
  assert(next(ends) == nil)
  step_until(r, function() return ends.canceled and ends.late end)
  assert(ends.canceled == "canceled" and ends.late == "unavailable")
  canceled:cancel() -- over: no harm
  late:deadline(0)
  raises("out of range", late.deadline, late, -1)
end)

case("inside a function: block, start, step, close", function()
  local r = world.open()
  local seen = {}
  r:start("get", "slow/one", nil, function(_, e)
    assert(e == nil)
    seen.blocking = r:get("slow/two"):bytes()
    r:start("get", "one", nil, function() seen.inner = true end)
    step_until(r, function() return seen.inner end)
    r:start("versions", "one", nil, function(_, why) seen.closed = why.code end)
    r:close()
    seen.after_close = seen.closed
  end)
  step_until(r, function() return seen.after_close end)
  assert(seen.blocking == "second" and seen.closed == "canceled")
  raises("closed", r.step, r, 0)
  raises("closed", r.start, r, "get", "one", nil, print)
end)

case("what others have ended waits for a step, and reminds the loop of it", function()
  local r <close> = world.open()
  local ended = false
  r:start("get", "one", nil, function() ended = true end)
  assert(r:get("slow/two") and r:get("slow/one")) -- drive the loop meanwhile
  assert(ended == false and r:timeout_ms() == 0)
  assert(r:step(-1) >= 0)
  assert(ended)
end)

case("close and the collector end what is in flight, once, as canceled", function()
  local codes = {}
  local function hang(r)
    r:start("versions", "one", nil, function(answer, e)
      codes[#codes + 1] = answer == nil and e.code
    end)
  end
  local r = world.open()
  hang(r)
  hang(r)
  r:close()
  r:close()
  assert(#codes == 2 and codes[1] == "canceled")
  r = world.open()
  hang(r)
  local request = r:start("versions", "one", nil, function() error "raised in a finalizer" end)
  r:step(20)
  r = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  assert(#codes == 3 and codes[3] == "canceled")
  request:cancel() -- outlives its resolver
  r = world.open()
  r:start("versions", "one", nil, function() error("first", 0) end)
  hang(r)
  raises("first", r.close, r) -- when all were told
  assert(#codes == 4)
end)

case("coroutines: started in one, stepped in another, yielded through a step", function()
  local r <close> = world.open()
  local order = {}
  local starter = coroutine.wrap(function()
    r:start("get", "one", nil, function(secret)
      order[#order + 1] = secret:bytes()
      order[#order + 1] = coroutine.yield("from the function")
    end)
    r:start("get", "two", nil, function(secret) order[#order + 1] = secret:bytes() end)
  end)
  starter()
  local stepper = coroutine.create(function()
    step_until(r, function() return #order == 3 end)
    return "over"
  end)
  local _, word = coroutine.resume(stepper)
  assert(word == "from the function", word)
  _, word = coroutine.resume(stepper, "resumed")
  assert(word == "over", word)
  table.sort(order)
  assert(table.concat(order, " ") == "first resumed second", table.concat(order, " "))
end)

case("await: many coroutines, one who steps", function()
  local r <close> = world.open()
  local got, n = {}, 0
  for _, name in ipairs { "one", "two", "nowhere", "slow/one" } do
    coroutine.wrap(function()
      local secret, e = r:await("get", name)
      got[name] = secret and secret:bytes() or e.code
      local again = r:await("get", "one", { refresh = true })
      assert(again:bytes() == "first")
      n = n + 1
    end)()
  end
  assert(n == 0)
  step_until(r, function() return n == 4 end)
  assert(got.one == "first" and got.two == "second" and got.nowhere == "missing")
  assert(got["slow/one"] == "first")
end)

case("await: spurious resumes, closed coroutines, errors, the wrong place", function()
  local r <close> = world.open()
  local value
  local co = coroutine.create(function() value = r:await("get", "one"):bytes() end)
  coroutine.resume(co)
  coroutine.resume(co, "not the answer")
  assert(value == nil and coroutine.status(co) == "suspended")
  local gone = coroutine.create(function() r:await("get", "two") error "never" end)
  coroutine.resume(gone)
  coroutine.close(gone)
  step_until(r, function() return value end)
  assert(value == "first")
  local closed = false
  coroutine.wrap(function()
    local _ <close> = setmetatable({}, { __close = function() closed = true end })
    r:await("get", "one")
    error("of the coroutine", 0)
  end)()
  raises("of the coroutine", step_until, r, function() return false end)
  assert(closed)
  raises("await waits in a coroutine", r.await, r, "get", "one")
  local none, e = coroutine.wrap(function() return r:await("get", "") end)()
  assert(none == nil and e.code == "usage")
end)

case("log functions: heard in a step, and not allowed to call", function()
  local r, lines, refused = nil, 0, 0
  r = world.open { log_level = "debug", log = function()
    lines = lines + 1
    if r and not pcall(r.step, r, 0) and not pcall(r.start, r, "get", "one", nil, print) and
      not pcall(r.timeout_ms, r) then
      refused = refused + 1
    end
  end }
  local ended
  coroutine.wrap(function() r:start("get", "one", nil, function() ended = true end) end)()
  step_until(r, function() return ended end)
  assert(lines > 0 and refused > 0)
  r:close()
end)

case("wrong arguments raise", function()
  local r <close> = world.open()
  raises("no such verb", r.start, r, "fetch", "one", nil, print)
  raises("function expected", r.start, r, "get", "one", print)
  raises("function expected", r.start, r, "get", "one", nil, "print")
  raises("unknown option", r.start, r, "get", "one", { nope = 1 }, print)
  raises("NUL", r.start, r, "get", "o\0e", nil, print)
  raises("out of range", r.step, r, -2)
  local none, e = r:start("get", "", nil, print)
  assert(none == nil and e.code == "usage")
end)

-- The state's own end: its finalizers tell whoever waits.
Left = world.open() -- luacheck: ignore
Left:start("versions", "one", nil, function(_, e) -- luacheck: ignore
  print("at the end: " .. e.code)
end)
print "ok"
