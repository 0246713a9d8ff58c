-- explain.lua - the trace of one request, for people and as JSON.  Never a value.
--
-- The real thing is run, plan and walk, with somebody watching; plan_only stops before
-- the first source is asked.
--
--   trace = { name, context, plan_only, cached_ms, rules = {...}, steps = {...},
--             result = { outcome, source, key, version, text } }
local after = require "moonlatch.after"
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local json = require "moonlatch.json"
local plan = require "moonlatch.plan"
local resolve = require "moonlatch.resolve"

local M = {}

-- ---- watching ----

local function result_of_fault(f)
  return {
    outcome = fault.outcome(f.code), source = f.source, key = f.key, text = f.text,
  }
end

local function recorder(trace)
  local began = core.now_ms()
  core.events()
  return function(i, _, outcome, f, action, stale_ms)
    local now = core.now_ms()
    local t = trace.steps[i]
    t.outcome, t.action, t.ms, t.stale_ms = outcome, action, now - began, stale_ms
    t.events = core.events()
    began = now
    if f then
      t.http_status, t.service_code, t.request_id, t.text =
        f.http_status, f.service_code, f.request_id, f.text
    end
  end
end

-- What is kept of this step before anything is asked; nil without a cache.
local function kept_state(step, call)
  local raw = step.source.raw
  if step.refused or not raw.kept then return nil end
  local state, ms = raw:kept(step.key, step.version or call.version, step.keep)
  return state and { state = state, ms = ms }
end

local function add_steps(trace, steps, call)
  for i, step in ipairs(steps) do
    trace.steps[i] = {
      source = step.source.alias, kind = step.source.kind, label = step.source.label,
      key = step.key, version = step.version, on = step.on, refused = step.refused,
      holds = step.holds, after = step.after and after.shown(step.after),
      cache = kept_state(step, call), writable = step.source.writable,
    }
  end
end

local function walked(trace, steps, rule, call)
  local record = recorder(trace)
  local stale_ms
  local secret, second = resolve.walk(steps, rule, call, function(...)
    stale_ms = select(6, ...)
    record(...)
  end)
  if not secret then return result_of_fault(second) end
  if not second then return { outcome = "found", is_default = true } end
  return {
    outcome = "found", source = second.source.alias, key = second.key,
    version = secret:version(), stale_ms = stale_ms,
  }
end

local function watch(policy, call)
  local trace = {
    name = call.name, context = call.context, plan_only = call.plan_only or false,
    cached_ms = call.cached_ms or 0,
    rules = {}, steps = {},
  }
  local steps, rule = plan.told(plan.make(policy, call.name, call.context, trace.rules))
  if not steps then
    trace.result = result_of_fault(rule)
    return trace
  end
  local fine, f = plan.check(steps, rule)
  add_steps(trace, steps, call)
  if not fine then
    trace.result = result_of_fault(f)
  elseif not call.plan_only then
    trace.result = walked(trace, steps, rule, call)
  end
  return trace
end

-- ---- for people ----

-- Text of others may not move the cursor.
local function shown(v)
  return (tostring(v):gsub("%c", "?"))
end

local function table_lines(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      row[i] = shown(cell)
      widths[i] = math.max(widths[i] or 0, utf8.len(row[i]) or #row[i])
    end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local pad = widths[i] - (utf8.len(cell) or #cell)
      cells[i] = cell .. (" "):rep(pad)
    end
    lines[n] = ("  " .. table.concat(cells, "  ")):gsub("%s+$", "")
  end
  return lines
end

local function sorted_pairs(t)
  local keys, i = {}, 0
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return function()
    i = i + 1
    return keys[i], t[keys[i]]
  end
end

local function on_text(on)
  local words = {}
  for outcome, action in sorted_pairs(on) do
    if action ~= (outcome == "missing" and "next" or "stop") then
      words[#words + 1] = outcome .. ": " .. action
    end
  end
  return table.concat(words, ", ")
end

local function head_rows(trace)
  local words = {}
  for k, v in sorted_pairs(trace.context) do words[#words + 1] = k .. "=" .. v end
  local rows = { { "name", trace.name } }
  if #words > 0 then rows[2] = { "context", table.concat(words, " ") } end
  if trace.cached_ms > 0 then -- explain walks the plan all the same
    rows[#rows + 1] = { "cache", ("a get is answered from memory for another %.1f s"):format(
      trace.cached_ms / 1000) }
  end
  return rows
end

local function rule_rows(trace)
  local rows = {}
  for i, r in ipairs(trace.rules) do
    rows[i] = { r.index, r.where, r.label, r.matched and "matches" or "no match: " .. r.why }
  end
  return rows
end

local CACHE = {
  empty = "none", flight = "none, a request is under way", fresh = "fresh for another %.1f s",
  stale = "stale, %.1f s old", negative = "missing for another %.1f s",
  resting = "stale, and not asked for another %.1f s",
}

local function cache_text(cache)
  return cache and "cache: " .. CACHE[cache.state]:format(cache.ms / 1000) or ""
end

local function plan_rows(trace)
  local rows = {}
  for i, s in ipairs(trace.steps) do
    local extra = s.refused and "refused: " .. s.refused or on_text(s.on)
    if s.after then extra = s.after .. (extra == "" and "" or "; " .. extra) end
    rows[i] = { i, s.source, s.key, s.version or "", s.label, extra,
      cache_text(s.cache) }
  end
  return rows
end

local function status_text(s)
  local words = {}
  if s.http_status and s.http_status ~= 0 then words[1] = tostring(s.http_status) end
  if s.service_code and s.service_code ~= "" then words[#words + 1] = s.service_code end
  if s.request_id and s.request_id ~= "" then
    words[#words + 1] = "request " .. s.request_id
  end
  return table.concat(words, " ")
end

local function walk_rows(trace)
  local rows = {}
  for i, s in ipairs(trace.steps) do
    if s.outcome then
      rows[#rows + 1] = { i, s.source .. ":" .. s.key, s.outcome, s.ms .. " ms",
        "-> " .. s.action .. (s.stale_ms and (", %d s old"):format(s.stale_ms // 1000) or ""),
        status_text(s) }
    else
      rows[#rows + 1] = { i, s.source .. ":" .. s.key, "not asked" }
    end
  end
  return rows
end

local function event_rows(trace)
  local rows = {}
  for i, s in ipairs(trace.steps) do
    for _, e in ipairs(s.events or {}) do
      rows[#rows + 1] = { i, ("%d ms"):format(e.at_ms), e.what, e.text }
    end
  end
  return rows
end

local function answer_line(trace)
  local r = trace.result
  if not r then return "answer: not asked, this is the plan only" end
  if r.is_default then return "answer: found, the default of the rule" end
  if r.outcome ~= "found" then
    return "answer: " .. r.outcome .. ": " .. shown(r.text)
  end
  local version = r.version ~= "" and (" version " .. r.version) or ""
  if r.stale_ms then version = version .. (", stale, %d s old"):format(r.stale_ms // 1000) end
  return shown(("answer: found in %s:%s%s"):format(r.source, r.key, version))
end

local function add_section(lines, title, rows)
  if #rows == 0 then return end
  if title then
    lines[#lines + 1] = ""
    lines[#lines + 1] = title
  end
  for _, line in ipairs(table_lines(rows)) do lines[#lines + 1] = line end
end

local function as_text(trace)
  local lines = {}
  add_section(lines, nil, head_rows(trace))
  add_section(lines, "rules", rule_rows(trace))
  add_section(lines, "plan", plan_rows(trace))
  if trace.result and trace.steps[1] and trace.steps[1].outcome then
    add_section(lines, "walk", walk_rows(trace))
    add_section(lines, "events", event_rows(trace))
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = answer_line(trace)
  return table.concat(lines, "\n") .. "\n"
end

-- ---- as JSON ----

local object = json.object

local function flat_object(t)
  local members = {}
  for k, v in sorted_pairs(t) do
    members[#members + 1] = k
    members[#members + 1] = v
  end
  return object(table.unpack(members))
end

local function each(list, make)
  local out = {}
  for i, item in ipairs(list) do out[i] = make(item, i) end
  return out
end

local function json_rule(r)
  return object("index", r.index, "where", r.where, "kind", r.kind, "label", r.label,
    "inverse", r.inverse, "after", r.after, "transforms", r.transforms,
    "matched", r.matched, "why", r.why, "team", r.team)
end

local function json_event(e)
  return object("at_ms", e.at_ms, "what", e.what, "text", e.text)
end

local function json_step(s, i)
  return object("index", i, "source", s.source, "kind", s.kind, "label", s.label,
    "writable", s.writable, "key", s.key, "version", s.version, "holds", s.holds,
    "after", s.after, "on", flat_object(s.on),
    "refused", s.refused, "outcome", s.outcome, "action", s.action,
    "ms", s.ms, "stale_ms", s.stale_ms, "cache", s.cache and object("state", s.cache.state,
      "ms", s.cache.ms), "http_status", s.http_status,
    "service_code", s.service_code, "request_id", s.request_id,
    "text", s.text, "events", s.events and each(s.events, json_event))
end

local function json_result(r)
  if not r then return nil end
  return object("outcome", r.outcome, "source", r.source, "key", r.key,
    "version", r.version, "stale_ms", r.stale_ms, "default", r.is_default, "text", r.text)
end

local function as_json(trace)
  return json.encode(object(
    "name", trace.name, "context", flat_object(trace.context),
    "plan_only", trace.plan_only, "cached_ms", trace.cached_ms, "rules", each(trace.rules, json_rule),
    "steps", each(trace.steps, json_step), "result", json_result(trace.result))) .. "\n"
end

-- ---- the verb ----

function M.run(policy, call)
  local trace = watch(policy, call)
  return { text = call.json and as_json(trace) or as_text(trace) }
end

return M
