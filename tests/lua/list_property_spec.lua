-- list_property_spec.lua - random rules over random keys: every name that is listed leads
-- to the very key it was listed from, and is listed once.
local t = require "support.policy"
local plan = require "moonlatch.plan"

local seed = 42
local function random(n)
  seed = (seed * 1103515245 + 12345) & 0x7fffffff
  return (seed >> 8) % n
end

local function one_of(list) return list[random(#list) + 1] end

local PATTERNS = { "**", "a/**", "*", "*/*", "{x}/b", "**/b", "b-*", "a/b-*" }
local OPTIONS = {
  "strip = 'a/'", "strip = { 'a/', 'a' }", "replace = { ['/'] = '-' }",
  "replace = { ['/'] = '--', _ = '-' }", "replace = { a = 'b', b = 'a' }",
  "replace = { ['/'] = '--' }", "lower = true", "upper = true", "encode = true",
  "prefix = 'p-'", "prefix = { 'p-', '' }", "prefix = { 'p-', 'p-a-' }",
  "prefix = { '{team?}--', 'all-' }", "prefix = '{team}-'", "suffix = '-s'",
  "names = { ['a/b'] = 'old', b = 'p-b' }",
}
local PIECES = { "a", "b", "A", "-", "--", "p-", "-s", "0", "-0", "red--", "all-", "old", "" }

local function random_rule()
  local used, words = {}, {}
  for _ = 1, random(4) do
    local option = one_of(OPTIONS)
    local name = option:match("^%w+")
    if not used[name] then
      used[name] = true
      words[#words + 1] = option
    end
  end
  if used.lower and used.upper then return random_rule() end
  if used.encode and (used.lower or used.upper or used.replace) then return random_rule() end
  if random(8) == 0 then return ("ml.deny %q"):format(one_of(PATTERNS)) end
  if random(8) == 0 then return ("ml.missing %q"):format(one_of(PATTERNS)) end
  if random(8) == 0 then
    return ([[ml.rule %q { from = { kv, sh },
      map = function(req) return { kv:key("m-" .. req.leaf), sh:key(req.leaf) } end,
      inverse = function(key, context, source)
        local leaf = source == kv and key:match("^[mM]%%-(.*)$") or key
        return { leaf, "a/" .. leaf, "a/b/" .. leaf, "nonsense" }
      end }]]):format(one_of(PATTERNS))
  end
  return ("ml.rule %q { from = %s, %s }"):format(one_of(PATTERNS),
    one_of { "kv", "sh", "{ kv, sh }", "{ sh, env }" }, table.concat(words, ", "))
end

local function random_keys()
  local keys = {}
  for _ = 1, 12 do
    local key = ""
    for _ = 1, 1 + random(5) do key = key .. one_of(PIECES) end
    if key ~= "" then keys[key] = "v" end
  end
  return keys
end

local SOURCES = [[
local kv = ml.azure_key_vault { vault_url = "https://kv.vault.azure.net" }
local sh = ml.azure_key_vault { vault_url = "https://sh.vault.azure.net" }
local env = ml.environment { alias = "env" }
]]

-- The first step of the plan of whose source the list is, and that has the key.
local function leads_to(steps, s)
  for _, step in ipairs(steps) do
    if step.source.alias == s:source() and step.key:lower() == s:key():lower() then
      return true
    end
  end
  return false
end

it("lists nothing that does not lead back", function()
  local listed = 0
  for _ = 1, 1500 do
    local rules = {}
    for i = 1, 1 + random(3) do rules[i] = random_rule() end
    local text = table.concat(rules, ", ")
    local p = t.load(SOURCES .. "return ml.policy { " .. text .. " }", {
      env = random_keys(), vaults = {
        ["https://kv.vault.azure.net"] = random_keys(),
        ["https://sh.vault.azure.net"] = random_keys() } })
    local context = random(2) == 0 and { team = "red" } or {}
    local answer, f = t.run(p, "list", nil, { context = context })
    t.ok(answer, f, text)
    local seen = {}
    for _, s in ipairs(answer.secrets) do
      local name = s:name()
      assert(not seen[name], name .. " is listed twice by " .. text)
      seen[name] = true
      local steps = plan.make(p, name, context)
      assert(steps, name .. " has no plan: " .. text)
      assert(leads_to(steps, s), ("%s -> %s:%s: %s"):format(name, s:source(), s:key(), text))
      listed = listed + 1
    end
  end
  assert.is_true(listed > 3000, listed)
end)
