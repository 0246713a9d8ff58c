-- airflow_spec.lua - ml.airflow answers as AzureKeyVaultBackend does.
local fake = require "support.fake_core"
local names = require "moonlatch.airflow_names"
local engine = require "moonlatch.engine"

local KWARGS = "AIRFLOW__SECRETS__BACKEND_KWARGS"
local PER_KEY = "AIRFLOW__SECRETS__BACKEND_KWARG__"
local URL = "https://acme.vault.azure.net"

-- Loads a policy of one ml.airflow { options } in a world of these kwargs (JSON text or
-- nil), secrets and further variables.
local function open(kwargs, secrets, options, env)
  env = env or {}
  env[KWARGS] = kwargs
  fake.reset { env = env, vaults = { [URL] = secrets or {} } }
  return engine.load("local ml = require 'moonlatch.policy'\n"
    .. "return ml.policy { ml.airflow {" .. (options or "") .. "} }", "airflow.lua")
end

local function get(policy, name)
  local answer, fault = engine.run(policy, { verb = "get", name = name })
  return answer and fake.reveal(answer), fault
end

-- The key that the vault is asked for, by a backend with these kwargs besides
-- vault_url.
local function key_of(kwargs, name)
  local more = kwargs == "" and "" or ", " .. kwargs
  get(open('{"vault_url": "' .. URL .. '"' .. more .. "}", {
    [fake.anything_else] = "v" }), name)
  return fake.calls[1] and fake.calls[1][3]
end

local function step_of(policy, name)
  local answer = engine.run(policy, { verb = "explain", name = name, plan_only = true,
    json = true })
  return require("cjson").decode(answer.text).steps[1]
end

local function load_fault(...)
  local fine, fault = pcall(open, ...)
  assert.is_false(fine)
  assert.is_table(fault)
  return fault
end

local function logged()
  local lines = {}
  for _, line in ipairs(fake.logs) do
    if line[1] ~= "info" then
      lines[#lines + 1] = line[1] .. " " .. line[2] .. ": " .. line[3]
    end
  end
  return table.concat(lines, "\n")
end

describe("a step of a connection", function()
  it("says so, whatever the name looks like", function()
    local p = open('{"vault_url": "' .. URL .. '"}', {}, "bare_names = true")
    assert.equal("connection", step_of(p, "airflow/connections/x").holds)
    assert.equal("connection", step_of(p, "connections/x").holds)
    assert.is_nil(step_of(p, "variables/x").holds)
  end)
end)

describe("build_path", function()
  -- prefix kwarg / sep / id / name
  local VECTORS = {
    { "airflow-connections", "-", "smtp_default", "airflow-connections-smtp-default" },
    { "airflow-variables", "-", "hello", "airflow-variables-hello" },
    { "af-secrets", "-", "test_mysql_password", "af-secrets-test-mysql-password" },
    { "airflow-connections-", "-", "x", "airflow-connections-x" },
    { "-", "-", "my_db", "my-db" },
    { "---", "-", "my_db", "my-db" },
    { "", "-", "smtp_default", "smtp-default" },
    { "", "", "smtp_default", "smtpdefault" },
    { "airflow-variables", "", "my_key", "airflow-variablesmykey" },
    { "a_b", "-", "c_d", "a-b-c-d" },
    { "airflow-connections", "-", "a__b", "airflow-connections-a--b" },
    { "airflow-connections", "-", "_x", "airflow-connections--x" },
    { "airflow-connections", "-", "", "airflow-connections-" },
    { "airflow-connections", "-", "A.B", "airflow-connections-A.B" },
    { "airflow_connections", "_", "my_db", "airflow_connections_my_db" },
    { "airflow-connections", "--", "my_db", "airflow-connections--my--db" },
    { "team/", "/", "x", "team/x" },
    { "prod-ab", "ab-", "x", "prodab-x" },
    { false, "-", "x", "False-x" },
    { 0, "-", "x", "0-x" },
    { 0.0, "-", "x", "0.0-x" },
    { "caf\u{E9}\u{A9}", "\u{E9}", "x", "caf\u{E9}\u{A9}\u{E9}x" },
    { "a%b", "%", "_%d", "a%b%%%d" },
  }
  for i, v in ipairs(VECTORS) do
    it("agrees with the backend, " .. i, function()
      assert.are.equal(v[4], names.build_path(names.strip_prefix(v[1], v[2]), v[3], v[2]))
    end)
  end

  it("strips a set of characters at the constructor only", function()
    assert.are.equal("prod", names.rstrip("prod-ab", "ab-"))
    assert.are.equal("team//x", names.build_path("team/", "x", "/"))
    assert.are.equal("a", names.rstrip("a \t\u{3000}", nil))
    assert.are.equal("a\u{C3}", names.rstrip("a\u{C3}\u{A9}", "\u{A9}"))
    assert.are.equal("\xC3\xA9", names.rstrip("\xC3\xA9\xA9", "\xA9")) -- not UTF-8
  end)

  it("writes numbers as Python does", function()
    for text, x in pairs { ["7"] = 7, ["-3"] = -3, ["0.1"] = 0.1, ["-0.0"] = -0.0,
      ["1e+16"] = 1e16, ["1000000000000000.0"] = 1e15, ["0.0001"] = 1e-4,
      ["1e-05"] = 1e-5, ["1.5e-07"] = 1.5e-7, ["123456.789"] = 123456.789,
      ["3.141592653589793"] = math.pi, ["5e-324"] = 5e-324, ["1e+100"] = 1e100,
      ["True"] = true, ["False"] = false, ["t"] = "t" } do
      assert.are.equal(text, names.python_str(x))
    end
  end)
end)

describe("a name", function()
  it("is kind and id", function()
    assert.are.same({ "variables", "a/b" }, { names.split("airflow/variables/a/b") })
    assert.are.same({ "config", "" }, { names.split("airflow/config/") })
    assert.is_nil(names.split("variables/x"))
    assert.are.same({ "variables", "x" }, { names.split("variables/x", true) })
    assert.is_nil(names.split("airflow/pools/x", true))
    assert.is_nil(names.split("airflow/variables", true))
  end)
end)

describe("ml.airflow", function()
  it("asks for the backend's names", function()
    assert.are.equal("airflow-variables-hello", key_of("", "airflow/variables/hello"))
    assert.are.equal("airflow-connections-my-db", key_of("", "airflow/connections/my_db"))
    assert.are.equal("airflow-config-sql-alchemy", key_of("", "airflow/config/sql_alchemy"))
    assert.are.equal("airflow-variables-", key_of("", "airflow/variables/"))
    assert.are.equal("af-x", key_of('"config_prefix": "af---"', "airflow/config/x"))
    assert.are.equal("mykey", key_of('"variables_prefix": "", "sep": ""',
      "airflow/variables/my_key"))
    assert.are.equal("False-x", key_of('"variables_prefix": false', "airflow/variables/x"))
    assert.are.equal("airflow-variables-x", key_of('"connections_prefix": null',
      "airflow/variables/x"))
  end)

  it("answers the value", function()
    local policy = open('{"vault_url": "' .. URL .. '/"}',
      { ["airflow-variables-hello"] = "world" })
    assert.are.equal("world", get(policy, "airflow/variables/hello"))
    assert.are.equal("", logged())
  end)

  it("calls a missing secret missing, for a variable and a connection", function()
    local policy = open('{"vault_url": "' .. URL .. '"}')
    for _, name in ipairs { "airflow/variables/test_mysql", "airflow/connections/no" } do
      local value, fault = get(policy, name)
      assert.is_nil(value)
      assert.are.equal("missing", fault.code)
    end
    assert.are.equal(2, #fake.calls)
  end)

  it("lets no other failure look like an absence", function()
    for _, code in ipairs { "forbidden", "disabled", "throttled", "unavailable",
      "unauthenticated", "invalid" } do
      local policy = open('{"vault_url": "' .. URL .. '"}',
        { [fake.anything_else] = { fails = code } }, "then_environment = true",
        { AIRFLOW_VAR_X = "env" })
      local value, fault = get(policy, "airflow/variables/x")
      assert.is_nil(value)
      assert.are.equal(code, fault.code)
    end
  end)

  it("does not touch the vault for a kind whose prefix is null", function()
    for _, kind in ipairs(names.KINDS) do
      local policy = open(('{"vault_url": "%s", "%s_prefix": null}'):format(URL, kind))
      local value, fault = get(policy, "airflow/" .. kind .. "/x")
      assert.is_nil(value)
      assert.are.equal("missing", fault.code)
      assert.is_truthy(fault.text:find(kind .. "_prefix is null", 1, true))
      assert.are.equal(0, #fake.calls)
    end
  end)

  it("needs no vault when every kind is off", function()
    local policy = open('{"connections_prefix": null, "variables_prefix": null, '
      .. '"config_prefix": null}')
    local _, fault = get(policy, "airflow/variables/x")
    assert.are.equal("missing", fault.code)
    assert.are.equal(0, #fake.vaults)
  end)

  it("fails at every lookup when sep is null, save for a kind that is off", function()
    local policy = open('{"vault_url": "' .. URL .. '", "sep": null, '
      .. '"config_prefix": null}')
    local _, fault = get(policy, "airflow/variables/x")
    assert.are.equal("policy", fault.code)
    assert.is_truthy(fault.text:find("sep is null", 1, true))
    assert.are.equal("missing", select(2, get(policy, "airflow/config/x")).code)
    assert.are.equal(0, #fake.calls)
  end)

  it("refuses before the network what Key Vault cannot have", function()
    local policy = open('{"vault_url": "' .. URL .. '"}')
    for _, id in ipairs { "A.B", "a/b", "\u{E9}", ("x"):rep(110) } do
      local _, fault = get(policy, "airflow/connections/" .. id)
      assert.are.equal("usage", fault.code)
    end
    assert.are.equal(0, #fake.calls)
  end)

  it("answers no other name, bare ones only when asked to", function()
    local secrets = { ["airflow-variables-x"] = "v" }
    local kwargs = '{"vault_url": "' .. URL .. '"}'
    assert.are.equal("missing", select(2, get(open(kwargs, secrets), "variables/x")).code)
    assert.are.equal("missing", select(2, get(open(kwargs, secrets), "airflow/x/x")).code)
    assert.are.equal("v", get(open(kwargs, secrets, "bare_names = true"), "variables/x"))
    assert.are.equal("v", get(open(kwargs, secrets, "bare_names = true"),
      "airflow/variables/x"))
  end)
end)

describe("ml.airflow's settings", function()
  local function principal()
    local vault = fake.vaults[1]
    return { vault.tenant_id, vault.client_id,
      vault.client_secret and fake.reveal(vault.client_secret) }
  end
  local FULL = '{"vault_url": "' .. URL
    .. '", "tenant_id": "t", "client_id": "c", "client_secret": "s3cret"%s}'

  it("hand the service principal over", function()
    open(FULL:format(""))
    assert.are.same({ "t", "c", "s3cret" }, principal())
    assert.are.equal(URL, fake.vaults[1].vault_url)
    assert.are.equal("", logged())
  end)

  it("leave a partial one aside, naming what lacks", function()
    open('{"vault_url": "' .. URL .. '", "tenant_id": "t", "client_secret": "s3cret"}')
    assert.are.same({}, principal())
    assert.is_truthy(logged():find("warn airflow: the service principal lacks client_id:",
      1, true))
    assert.is_nil(logged():find("s3cret", 1, true))
    open('{"vault_url": "' .. URL .. '", "tenant_id": "t", "client_id": ""}')
    assert.is_truthy(logged():find("lacks client_id and client_secret", 1, true))
  end)

  it("warn about a managed identity", function()
    open('{"vault_url": "' .. URL .. '", "managed_identity_client_id": "m", '
      .. '"workload_identity_tenant_id": "w"}')
    assert.is_truthy(logged():find("managed_identity_client_id is accepted", 1, true))
    assert.is_truthy(logged():find("workload_identity_tenant_id is accepted", 1, true))
    open('{"vault_url": "' .. URL .. '", "managed_identity_client_id": ""}')
    assert.are.equal("", logged())
  end)

  it("honour api_version and verify_challenge_resource", function()
    open(FULL:format(', "api_version": "7.4", "verify_challenge_resource": false'))
    assert.are.equal("7.4", fake.vaults[1].api_version)
    assert.is_true(fake.vaults[1].skip_challenge_check)
    open(FULL:format(', "verify_challenge_resource": true'))
    assert.is_falsy(fake.vaults[1].skip_challenge_check)
    assert.are.equal("", logged())
  end)

  it("name all unknown kwargs in one warning, without their values", function()
    open(FULL:format(', "retry_total": 3, "conections_prefix": "s3cret"'))
    assert.are.equal("warn airflow: ignored, because this backend does not read them: "
      .. "conections_prefix, retry_total", logged())
  end)

  it("warn when another backend is named", function()
    local env = { AIRFLOW__SECRETS__BACKEND =
      "airflow.providers.hashicorp.secrets.vault.VaultBackend" }
    open(FULL:format(""), nil, nil, env)
    assert.is_truthy(logged():find("AIRFLOW__SECRETS__BACKEND names another", 1, true))
    env.AIRFLOW__SECRETS__BACKEND =
      "airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend"
    open(FULL:format(""), nil, nil, env)
    assert.are.equal("", logged())
  end)

  it("can be overridden one by one, as raw texts", function()
    local env = {
      [PER_KEY .. "VARIABLES_PREFIX"] = "null", [PER_KEY .. "CLIENT_SECRET"] = "t3cret",
      [PER_KEY .. "SEP"] = "--", [PER_KEY .. "TENANT_ID"] = "17",
    }
    local policy = open(FULL:format(""), { ["null--a--b"] = "v" }, nil, env)
    assert.are.same({ "17", "c", "t3cret" }, principal())
    assert.are.equal("v", get(policy, "airflow/variables/a_b"))
    assert.is_truthy(logged():find('VARIABLES_PREFIX is the text "null"', 1, true))
    assert.is_nil(logged():find("3cret", 1, true))
  end)

  it("may come from such variables alone", function()
    open(nil, nil, nil, { [PER_KEY .. "VAULT_URL"] = URL })
    assert.are.equal(URL, fake.vaults[1].vault_url)
    open("", nil, nil, { [PER_KEY .. "VAULT_URL"] = URL, [PER_KEY .. "SEP"] = "" })
    assert.are.equal(URL, fake.vaults[1].vault_url)
  end)

  it("of the policy win", function()
    local policy = open(FULL:format(', "variables_prefix": "env"'),
      { ["policy-x"] = "v" }, 'variables_prefix = "policy", connections_prefix = false, '
      .. 'client_secret = ml.env_secret "OTHER"', { OTHER = "t3cret" })
    assert.are.same({ "t", "c", "t3cret" }, principal())
    assert.are.equal("v", get(policy, "airflow/variables/x"))
    assert.are.equal("missing", select(2, get(policy, "airflow/connections/x")).code)
    assert.are.equal(1, #fake.calls)
  end)

  it("for the vault do not matter when the policy brings a source", function()
    local policy = open('{"vault_url": 5, "tenant_id": "t", "variables_prefix": "p"}',
      { ["p-x"] = "v" },
      'from = ml.azure_key_vault { vault_url = "' .. URL .. '" }')
    assert.are.equal("v", get(policy, "airflow/variables/x"))
    assert.are.equal(1, #fake.vaults)
    assert.are.equal("", logged())
  end)

  -- kwargs / policy options / part of the text
  local BAD = {
    { '{"vault_url": "s3cret}', nil, KWARGS .. " is not JSON: line 1" },
    { '["s3cret"]', nil, KWARGS .. " is JSON but not an object" },
    { '"s3cret"', nil, KWARGS .. " is JSON but not an object" },
    { "5", nil, KWARGS .. " is JSON but not an object" },
    { "null", nil, KWARGS .. " is JSON but not an object" },
    { "{}", nil, "vault_url is missing: set it in " .. KWARGS },
    { nil, nil, "vault_url is missing: set it in " .. KWARGS },
    { "", nil, "vault_url is missing: set it in " .. KWARGS },
    { '{"vault_url": ["s3cret"]}', nil, "vault_url must be a text" },
    { '{"vault_url": "http://s3cret"}', nil, "vault_url: an https" },
    { '{"sep": 3}', nil, "sep must be a text" },
    { '{"sep": false}', nil, "sep must be a text" },
    { '{"variables_prefix": 7}', nil, "variables_prefix must be a text or null" },
    { '{"config_prefix": true}', nil, "config_prefix must be a text or null" },
    { '{"config_prefix": {"s3cret": 1}}', nil, "config_prefix must be a text or null" },
    { '{"vault_url": "https://x", "tenant_id": 3, "client_id": "s3cret"}', nil,
      "tenant_id must be a text" },
    { '{"vault_url": "https://x", "client_secret": 35551}', nil,
      "client_secret must be a text" },
    { "{}", 'client_secret = "s3cret", vault_url = "https://x"', "ml.env_secret" },
    { "{}", "colour = 1", "there is no option 'colour'", "policy" },
    { "{}", "5", "options are written name = value", "policy" },
    { "{}", "bare_names = 1", "bare_names must be a boolean", "policy" },
    { "{}", "from = ml.environment {}, audience = 'a'", "from brings its own", "policy" },
    { "{}", "dns_suffix = 1", "dns_suffix must be a string", "policy" },
    { "{}", "from = {}", "from must be a source", "policy" },
  }
  for i, case in ipairs(BAD) do
    it("are refused when the policy is loaded, without a value, " .. i, function()
      local fault = load_fault(case[1], nil, case[2])
      assert.are.equal(case[4] or "usage", fault.code)
      assert.are.equal("airflow.lua:2: ", fault.text:sub(1, 15))
      assert.is_truthy(fault.text:find(case[3], 1, true), fault.text)
      assert.is_nil((fault.text .. logged()):find("s3cret", 1, true), fault.text)
      assert.is_nil((fault.text .. logged()):find("35551", 1, true), fault.text)
    end)
  end
end)

describe("ml.airflow with the environment behind it", function()
  local function with(env, secrets)
    return open('{"vault_url": "' .. URL .. '"}', secrets, "then_environment = true", env)
  end

  it("asks the vault first", function()
    local policy = with({ AIRFLOW_VAR_X = "env" }, { ["airflow-variables-x"] = "vault" })
    assert.are.equal("vault", get(policy, "airflow/variables/x"))
  end)

  it("falls back by Airflow's names", function()
    local policy = with { AIRFLOW_VAR_MY_KEY = "v", AIRFLOW_CONN_MY_DB = "mysql://h" }
    assert.are.equal("v", get(policy, "airflow/variables/my_key"))
    assert.are.equal("mysql://h", get(policy, "airflow/connections/my_db"))
    assert.are.equal("missing", select(2, get(policy, "airflow/config/my_key")).code)
  end)

  it("is asked alone when the prefix is null", function()
    local policy = open('{"vault_url": "' .. URL .. '", "variables_prefix": null}', {},
      "then_environment = true", { AIRFLOW_VAR_X = "env" })
    assert.are.equal("env", get(policy, "airflow/variables/x"))
    assert.are.equal(1, #fake.calls)
  end)

  it("marks steps of connections: empty is missing", function()
    local rule = require("moonlatch.airflow").rule
    fake.reset { env = { [KWARGS] = '{"vault_url": "' .. URL .. '"}' } }
    local ml = require("moonlatch.sources").registry(function() return "x:1" end).constructors
    local made = rule({ then_environment = true }, ml)
    local function marks(name)
      local steps = made.map { name = name, captures = made.match(name) }
      return { #steps, steps[1].empty, steps[2].empty }
    end
    assert.are.same({ 2, "missing", "missing" }, marks "airflow/connections/x")
    assert.are.same({ 2 }, marks "airflow/variables/x")
  end)
end)

it("ml.airflow hands dns_suffix, audience and authority to the vault", function()
  open('{"vault_url": "' .. URL .. '"}', {}, 'dns_suffix = "vault.example", '
    .. 'audience = "https://vault.example", authority = "https://login.example"')
  local made = fake.vaults[1]
  assert.are.same({ "vault.example", "https://vault.example", "https://login.example" },
    { made.dns_suffix, made.audience, made.authority })
end)

describe("an empty connection", function()
  it("is missing, and get and explain say that it is there", function()
    local p = open('{"vault_url": "' .. URL .. '"}', { ["airflow-connections-x"] = "" })
    local _, fault = get(p, "airflow/connections/x")
    assert.are.equal("missing", fault.code)
    local said = "acme:airflow-connections-x exists but is empty, which Airflow counts as "
      .. "missing"
    assert.truthy(fault.text:find(said, 1, true), fault.text)
    local answer = engine.run(p, { verb = "explain", name = "airflow/connections/x" })
    assert.truthy(answer.text:find(said, 1, true), answer.text)
    _, fault = get(p, "airflow/connections/y")
    assert.is_nil(fault.text:find("empty", 1, true))
  end)
end)

describe("listing through ml.airflow", function()
  local function list(policy, pattern)
    local answer, fault = engine.run(policy, { verb = "list", name = pattern })
    assert.is_nil(fault)
    local found = {}
    for i, secret in ipairs(answer.secrets) do found[i] = secret:name() end
    return found
  end
  local SECRETS = {
    ["airflow-variables-a-b"] = "1", ["airflow-connections-x"] = "2",
    ["Airflow-Variables-C"] = "3", ["airflow-config-"] = "4", ["other"] = "5",
  }

  it("strips prefix and separator", function()
    assert.are.same({ "airflow/config/", "airflow/connections/x", "airflow/variables/C",
      "airflow/variables/a-b" }, list(open('{"vault_url": "' .. URL .. '"}', SECRETS)))
  end)

  it("lets the longest prefix win, and the empty one take the rest", function()
    assert.are.same({ "airflow/config/", "airflow/connections/x", "airflow/variables/C",
      "airflow/variables/a-b", "airflow/variables/other" }, (function()
        local kwargs = '{"vault_url": "%s", "variables_prefix": ""}'
        local found = list(open(kwargs:format(URL), {
          ["a-b"] = "1", ["airflow-connections-x"] = "2", ["C"] = "3",
          ["airflow-config-"] = "4", ["other"] = "5" }))
        return found
      end)())
  end)

  it("gives every name when kinds share a prefix", function()
    local kwargs = '{"vault_url": "%s", "variables_prefix": "", "connections_prefix": ""}'
    assert.are.same({ "airflow/connections/x", "airflow/variables/x" },
      list(open(kwargs:format(URL), { x = "1" })))
  end)

  it("leaves out kinds that are off", function()
    local kwargs = '{"vault_url": "%s", "variables_prefix": null}'
    assert.are.same({ "airflow/connections/x" }, list(open(kwargs:format(URL), {
      ["airflow-variables-x"] = "1", ["airflow-connections-x"] = "2" })))
  end)

  it("shows the environment's, and not the client secret's variable", function()
    assert.are.same({ "airflow/connections/db", "airflow/variables/my_key" },
      list(open('{"vault_url": "' .. URL .. '"}', {}, "then_environment = true",
        { AIRFLOW_VAR_MY_KEY = "v", AIRFLOW_CONN_DB = "w", HOME = "/" })))
  end)

  it("takes patterns without airflow/ when names may be bare", function()
    local function of(pattern, options)
      return list(open('{"vault_url": "' .. URL .. '"}', { ["airflow-variables-a"] = "1",
        ["airflow-connections-b"] = "2" }, options), pattern)
    end
    assert.are.same({ "variables/a" }, of("variables/*", "bare_names = true"))
    assert.are.same({ "airflow/variables/a" }, of("airflow/variables/*", "bare_names = true"))
    assert.are.same({ "airflow/connections/b", "airflow/variables/a" },
      of("**", "bare_names = true"))
    assert.are.same({ "airflow/connections/b", "airflow/variables/a" },
      of(nil, "bare_names = true"))
    assert.are.same({}, of("variables/*", ""))
  end)
end)
