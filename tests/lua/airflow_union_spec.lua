-- airflow_union_spec.lua - what Airflow's official secrets backends can do with names and
-- values, each as a few lines of policy; Azure's own is ml.airflow (airflow_spec.lua).
--
-- Not a matter of names, and not here: telling URI from JSON (whoever reads the value
-- does).  On purpose not to be had: a refusal or an outage that counts as an absence; `on`
-- may let it pass to the next step, but when nothing else has the name, it is the answer.
local t = require "support.policy"
local tools = require "support.fake_tools"
local fake = t.fake

local SOURCES = [[
local kv = ml.azure_key_vault { vault_url = "https://kv.vault.azure.net" }
local eu = ml.azure_key_vault { vault_url = "https://eu.vault.azure.net" }
local env = ml.environment { alias = "env" } -- stands for stores that take any key
]]

local function load(rules, keys)
  fake.reset { env = keys, vaults = { ["https://kv.vault.azure.net"] = keys,
    ["https://eu.vault.azure.net"] = keys } }
  return t.load(SOURCES .. rules)
end

-- what, policy, { name, context, plan | { code, text } } ...
local NAMES = {
  { "prefix per kind, and a separator", [[return ml.policy {
      ml.rule "airflow/connections/*" { from = env, strip = "airflow/connections/",
        prefix = "airflow/connections/" },
      ml.rule "airflow/variables/*" { from = env, strip = "airflow/variables/", prefix = "v__" },
    }]],
    { "airflow/connections/db", {}, "env:airflow/connections/db" },
    { "airflow/variables/x_y", {}, "env:v__x_y" } },
  { "a kind that is switched off is missing, and no source is asked", [[return ml.policy {
      ml.missing "airflow/config/**",
      ml.rule "airflow/**" { from = env },
    }]],
    { "airflow/config/core", {}, { "missing", "not looked up by missing airflow/config/**" } },
    { "airflow/variables/x", {}, "env:airflow/variables/x" } },
  { "the empty prefix: the bare id (AWS, Vault), or the separator and the id (GCP)",
    [[return ml.policy {
      ml.rule "airflow/variables/*" { from = env, strip = "airflow/variables/" },
      ml.rule "airflow/connections/*" { from = kv, strip = "airflow/connections/", prefix = "-" },
    }]],
    { "airflow/variables/x", {}, "env:x" },
    { "airflow/connections/x", {}, "kv:-x" } },
  { "a leading slash (Systems Manager)", [[return ml.policy {
      ml.rule "airflow/**" { from = env, prefix = "/" },
    }]],
    { "airflow/variables/x", {}, "env:/airflow/variables/x" } },
  { "characters mapped one to one, deleted, in another case; kebab names with project and env",
    [[return ml.policy {
      ml.rule "airflow/variables/*" { from = kv, strip = "airflow/variables/", lower = true,
        replace = { _ = "-", ["."] = "" }, prefix = "{project}-{env:lower}-" },
    }]],
    { "airflow/variables/My_Api.Key", { project = "etl", env = "PROD" }, "kv:etl-prod-my-apikey" },
    { "airflow/variables/x", { project = "etl" }, { "usage", "{env} is not set" } } },
  { "connections_lookup_pattern: matched at the start, without case; all others missing",
    [[return ml.policy {
      ml.rule { ml.pattern("airflow/connections/(aws_.*)", { ignore_case = true }),
                ml.pattern("airflow/connections/(db%d+.*)", { ignore_case = true }) } {
        from = env, strip = "airflow/connections/" },
    }]],
    { "airflow/connections/AWS_s3", {}, "env:AWS_s3" },
    { "airflow/connections/db1x", {}, "env:db1x" },
    { "airflow/connections/dbx", {}, { "missing", "no rule" } },
    { "airflow/variables/aws_s3", {}, { "missing", "no rule" } } },
  { "never looked up: aws_default, the backend's own connection", [[return ml.policy {
      ml.missing({ "airflow/connections/aws_default", "airflow/connections/lockbox" },
        "the hook's own default"),
      ml.rule "airflow/**" { from = env },
    }]],
    { "airflow/connections/aws_default", {}, { "missing", "the hook's own default" } },
    { "airflow/connections/aws_default2", {}, "env:airflow/connections/aws_default2" } },
  { "the team's secret, then the global one; without a team the global one", [[return ml.policy {
      ml.rule "airflow/connections/*" { from = kv, strip = "airflow/connections/",
        prefix = { "conn-{team?}--", "conn-" } },
      ml.rule "airflow/variables/*" { from = env, strip = "airflow/variables/",
        prefix = { "base/{team?}/", "base/global/" } },
      ml.rule "airflow/config/*" { from = env, strip = "airflow/config/",
        prefix = { "airflow/config//{team?}//", "airflow/config/" } },
    }]],
    { "airflow/connections/db", { team = "red" }, "kv:conn-red--db kv:conn-db" },
    { "airflow/connections/db", {}, "kv:conn-db" },
    { "airflow/variables/x", { team = "red" }, "env:base/red/x env:base/global/x" },
    { "airflow/config/x", { team = "red" }, "env:airflow/config//red//x env:airflow/config/x" } },
  { "ids that could be another team's are refused", [[return ml.policy {
      ml.deny("airflow/*/*--*", "-- ends the name of a team"),
      ml.rule "airflow/variables/*" { from = kv, strip = "airflow/variables/",
        prefix = "{team}--" },
    }]],
    { "airflow/variables/red--x", { team = "blue" }, { "policy", "ends the name of a team" } },
    { "airflow/variables/x", { team = "blue" }, "kv:blue--x" } },
  { "the first segment of the id is the mount (Vault)", [[
    local mounts = { kv = kv, eu = eu }
    return ml.policy {
      ml.rule "airflow/connections/{mount}/*" { map = function(req)
        local mount = mounts[req.captures.mount]
        if not mount then return nil, "there is no mount " .. req.captures.mount end
        return mount:key(req.leaf)
      end },
    }]],
    { "airflow/connections/eu/db", {}, "eu:db" },
    { "airflow/connections/us/db", {}, { "policy", "there is no mount us" } } },
  { "region, project or vault by context", [[
    local vaults = { eu = eu, us = kv }
    return ml.policy {
      ml.rule "**" { map = function(req) return vaults[req.context.region]:key(req.leaf) end },
    }]],
    { "a/db", { region = "eu" }, "eu:db" },
    { "a/db", { region = "us" }, "kv:db" } },
  { "variables of the environment, of a team and of all", [[return ml.policy {
      ml.rule "airflow/connections/*" { from = env, strip = "airflow/connections/", upper = true,
        prefix = { "AIRFLOW_CONN__{team:upper?}___", "AIRFLOW_CONN_" } },
    }]],
    { "airflow/connections/my_db", { team = "red" },
      "env:AIRFLOW_CONN__RED___MY_DB env:AIRFLOW_CONN_MY_DB" },
    { "airflow/connections/my_db", {}, "env:AIRFLOW_CONN_MY_DB" } },
  { "keys of a local file", [[return ml.policy {
      ml.rule "airflow/*/*" { from = env, strip = { "airflow/connections/", "airflow/variables/" },
        prefix = { "{team?}___", "" } },
    }]],
    { "airflow/variables/x", { team = "red" }, "env:red___x env:x" } },
}

for _, case in ipairs(NAMES) do
  it(case[1], function()
    local p = load(case[2])
    for i = 3, #case do
      local name, context, wanted = table.unpack(case[i])
      local got, f = t.plan(p, name, context)
      if type(wanted) == "table" then
        t.fails(got, f, wanted[1], wanted[2])
      else
        t.ok(got, f, name)
        assert.equal(wanted, got)
      end
    end
  end)
end

-- what, policy, stored, answer
local VALUES = {
  { "a variable is the field 'value' (Vault, Akeyless)", "field = '/value'",
    '{"value":"x"}', "x" },
  { "a connection is 'conn_uri', else the whole object", "field = { '/conn_uri', '' }",
    '{"conn_uri":"pg://h"}', "pg://h" },
  { "the same, without", "field = { '/conn_uri', '' }", '{"host":"h"}', '{"host":"h"}' },
  { "a whole URL is passed on as it is (full_url_mode)", "", "pg://u:p%20@h/d?x=1",
    "pg://u:p%20@h/d?x=1" },
  { "values that are percent-encoded (are_secret_values_urlencoded)", [[
      transform = function(text)
        return (text:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end))
      end]], "p%40ss%2Fw", "p@ss/w" },
  { "other words for the fields of a connection (extra_conn_words)", [[
      transform = function(text)
        local words = { username = "login", user = "login", pass = "password", remote_host = "host" }
        return (text:gsub('"([%a_]+)"(%s*:)', function(word, colon)
          return '"' .. (words[word] or word) .. '"' .. colon
        end))
      end]], '{"username": "u", "pass":"p", "port": 1}', '{"login": "u", "password":"p", "port": 1}' },
  { "base64 (Kubernetes)", "decode = 'base64', field = '/a'", "eyJhIjoiYiJ9", "b" },
  { "the label of the team is there (Kubernetes)", "require = { tag = { team = 'red' } }",
    { value = "x", tags = { team = "red" } }, "x" },
}

describe("a value:", function()
  for _, case in ipairs(VALUES) do
    it(case[1], function()
      local p = load("return ml.policy { ml.rule '*' { from = kv, " .. case[2] .. " } }",
        { x = case[3] })
      local answer, f = t.run(p, "get", "x")
      t.ok(answer, f)
      assert.equal(case[4], fake.reveal(answer))
    end)
  end

  it("without the field that must be there is an error, not an absence", function()
    local p = load("return ml.policy { ml.rule '*' { from = kv, field = '/value' } }",
      { x = '{"other":"x"}' })
    local v, f = t.get(p, "x")
    t.fails(v, f, "invalid", "field /value")
  end)
end)

it("a refusal passes where the policy says so, and is the answer when nobody else has it", function()
  local rules = [[return ml.policy { ml.rule "*" { from = { kv, env },
    on = { forbidden = "next", invalid = "next" } } }]]
  fake.reset { env = { y = "low" }, vaults = { ["https://kv.vault.azure.net"] = {
    x = { fails = "forbidden" }, y = { fails = "forbidden" } } } }
  local p = t.load(SOURCES .. rules)
  assert.equal("env:y=low", t.get(p, "y"))
  local v, f = t.get(p, "x")
  t.fails(v, f, "forbidden")
end)

-- A source in Lua decides what a key is, here a label, and which of several hits counts.
it("a secret is looked up by its label, not its name; of several the first counts (Kubernetes)", function()
  tools.reset { answer = function(request)
    local id = request.url:match "labelSelector=connection%%3D(.*)$"
    local hits = { db = [[{"items":[{"data":{"value":"Zmlyc3Q="}},{"data":{"value":"eA=="}}]}]] }
    return { status = 200, body = fake.secret(hits[id] or [[{"items":[]}]]) }
  end }
  local p = t.load([[
    local cluster = ml.source { alias = "k8s", get = function(key)
      local answer, outcome, text = ml.http { url = "https://cluster/secrets?labelSelector="
        .. ml.url_encode("connection=" .. key) }
      if not answer then return nil, outcome, text end
      if answer.status ~= 200 then return nil, "unavailable" end
      local value = ml.json.field(answer.body, "/items/0/data/value")
      if not value then return nil, "missing" end
      return value
    end }
    return ml.policy { ml.rule "airflow/connections/*" { from = cluster, strip = "airflow/connections/",
      decode = "base64" } }]], {})
  assert.equal("k8s:db=first", t.get(p, "airflow/connections/db"))
  local v, f = t.get(p, "airflow/connections/other")
  t.fails(v, f, "missing")
end)
