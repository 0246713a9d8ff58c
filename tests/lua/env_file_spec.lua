-- env_file_spec.lua - what becomes of the lines of an --env-file.
dofile((os.getenv("ML_ROOT") or ".") .. "/tests/lua/support/commands_world.lua") -- finds commands
local env_file = require "moonlatch.commands.shared.env_file"

describe("an env file", function()
  it("lets the last of equal names win, with a warning", function()
    local values, warnings, broken = env_file.settle({
      { line = 1, name = "K", value = "s3cret" }, { line = 2, name = "L", value = "" },
      { line = 4, name = "K", value = "t3cret" } }, "x.env")
    assert.same({ K = "t3cret", L = "" }, values)
    assert.same({ "x.env:4: K: it is there twice: this value wins over that of line 1" },
      warnings)
    assert.same({}, broken)
  end)

  it("drops what a line that cannot be read was to replace", function()
    local values, warnings, broken = env_file.settle({
      { line = 1, name = "K", value = "old" }, { line = 2, name = "K", reason = "why" },
      { line = 3, reason = "no name" } }, "x.env")
    assert.same({}, values)
    assert.same({}, warnings)
    assert.same({ { name = "K", line = 2, text = "x.env:2: K: why" },
      { line = 3, text = "x.env:3: no name" } }, broken)
  end)

  it("lets a later line mend an earlier one", function()
    local values, warnings = env_file.settle({ { line = 1, name = "K", reason = "why" },
      { line = 2, name = "K", value = "2" } }, "x.env")
    assert.same({ K = "2" }, values)
    assert.same({}, warnings)
  end)

  it("knows what the program reads itself", function()
    for _, name in ipairs { "AIRFLOW__SECRETS__BACKEND_KWARGS", "AZURE_TENANT_ID",
      "MOONLATCH_POLICY", "SSL_CERT_FILE", "HTTPS_PROXY", "no_proxy" } do
      assert.is_true(env_file.is_needed(name))
    end
    for _, name in ipairs { "AIRFLOW__CORE__X", "K", "MY_AZURE_X" } do
      assert.is_false(env_file.is_needed(name))
    end
    assert.is_false(env_file.is_needed(nil))
  end)
end)
