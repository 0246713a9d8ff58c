-- keep.lua - what a rule says about keeping: ttl, negative_ttl, stale_ttl, and stale in on.
--
-- Seconds become { ttl_ms =, negative_ttl_ms =, stale_ttl_ms =, stale_throttled = true,
-- stale_unavailable = true }, which goes with each step to its source; what is not there
-- is the resolver's default.
local M = {}

local LONGEST_S = 366 * 24 * 3600

-- Only an outage may be answered with an old value (rule_options.lua refuses the rest).
local STALE = { throttled = "stale_throttled", unavailable = "stale_unavailable" }

local function seconds(v)
  if type(v) ~= "number" or not (v >= 0 and v <= LONGEST_S) then
    return ("seconds are needed, a number from 0 to %d"):format(LONGEST_S)
  end
end

M.OPTIONS = { ttl = seconds, negative_ttl = seconds, stale_ttl = seconds }

local function takes_stale(on)
  for outcome in pairs(STALE) do
    if on and on[outcome] == "stale" then return true end
  end
  return false
end

-- Of several options at once.
function M.check_together(refuse, o)
  if o.stale_ttl and not takes_stale(o.on) then
    refuse("ml.rule: 'stale_ttl' has no use without on = { throttled = 'stale', "
      .. "unavailable = 'stale' } or one of them")
  end
  if o.stale_ttl and o.ttl and o.stale_ttl <= o.ttl then
    refuse("ml.rule: 'stale_ttl' must be longer than 'ttl': both count from when the "
      .. "source last confirmed the value")
  end
end

local function ms(s)
  return s and math.ceil(s * 1000)
end

-- nil when the rule says nothing.
function M.compile(o)
  local keep = {
    ttl_ms = ms(o.ttl), negative_ttl_ms = ms(o.negative_ttl), stale_ttl_ms = ms(o.stale_ttl),
  }
  for outcome, field in pairs(STALE) do
    if o.on and o.on[outcome] == "stale" then keep[field] = true end
  end
  return next(keep) and keep
end

return M
