-- dotenv_spec.lua - the .env files that users write, and those that must be refused.
local dotenv = require "moonlatch.dotenv"

local function values(text)
  local entries, warnings = dotenv.parse(text, "x.env")
  assert.is_table(entries, warnings)
  local map = {}
  for _, entry in ipairs(entries) do map[entry.name] = entry.value end
  return map, warnings, entries
end

describe("a .env file", function()
  local JSON = '{"connections_prefix": "", "client_secret": "a #b=\\"c\\"", "n": [1]}'
  local CASES = {
    { "unquoted JSON", "K=" .. JSON, JSON },
    { "unquoted JSON and a comment", "K=" .. JSON .. "  # {", JSON },
    { "single-quoted JSON", "K='" .. JSON .. "'", JSON },
    { "double-quoted JSON", [[K="{\"a\": \"b\"}"]], '{"a": "b"}' },
    { "a plain value", "K=v", "v" },
    { "blanks around", "  K \t=  v w \t", "v w" },
    { "export", "export  K=v", "v" },
    { "a name that begins with export", "exported=1\nK=v", "v" },
    { "# inside", "K=a#b", "a#b" },
    { "a comment", "K=a # b", "a" },
    { "an empty value", "K=", "" },
    { "an empty quoted value", 'K=""', "" },
    { "= inside", "K=a=b==", "a=b==" },
    { "quotes inside", [[K=a"b'c]], [[a"b'c]] },
    { "a backslash unquoted", [[K=a\nb]], [[a\nb]] },
    { "escapes", [[K="a\n\r\t\\\"\'\$b"]], "a\n\r\t\\\"'$b" },
    { "an escaped expansion", [[K="\${A}"]], "${A}" },
    { "no escapes in single quotes", [[K='a\n"${B}"']], [[a\n"${B}"]] },
    { "lines in double quotes", 'K="a\nb\n#c"\nL=1', "a\nb\n#c" },
    { "lines in single quotes", "K='a\nb'\nL=1", "a\nb" },
    { "a comment behind quotes", "K='a' # 'b'", "a" },
    { "$ as it is", "K=pa$$word$1", "pa$$word$1" },
    { "CRLF", "A=1\r\nK=v\r\n\r\n", "v" },
    { "CR at the very end", "K=v\r", "v" },
    { "a BOM", "\u{FEFF}K=v", "v" },
    { "comments and blank lines", "# K=no\n\n  # x\n \t\nK=v\n", "v" },
    { "a URI", "K=mysql://u:p%23@h/db?a=b", "mysql://u:p%23@h/db?a=b" },
  }
  for _, case in ipairs(CASES) do
    it("reads " .. case[1], function()
      assert.are.equal(case[3], values(case[2]).K)
    end)
  end

  it("keeps the order, and names with dots and dashes", function()
    local _, warnings, entries = values("B=1\nA.x-y=2\n_C=3")
    assert.are.same({ { name = "B", value = "1", line = 1 },
      { name = "A.x-y", value = "2", line = 2 }, { name = "_C", value = "3", line = 3 } },
      entries)
    assert.are.same({}, warnings)
  end)

  it("lets the last of equal names win, with a warning", function()
    local map, warnings, entries = values("K=s3cret\nL='\n'\nK=t3cret")
    assert.are.equal("t3cret", map.K)
    assert.are.equal(2, #entries)
    assert.are.same({ "x.env:4: K is there twice: this value wins over that of line 1" },
      warnings)
  end)

  it("may be empty", function()
    assert.are.same({}, (values("")))
    assert.are.same({}, (values("\n#")))
  end)

  local BAD = {
    { "K=1\nJUST/s3cret", "x.env:2: there is no '='" },
    { "K=1\n=s3cret", "x.env:2: a name" },
    { "1K=s3cret", "x.env:1: a name" },
    { "K K=s3cret", "x.env:1: a name" },
    { "\nK='s3cret\nL=1", "x.env:2: the single quote of K is not closed" },
    { 'K="s3cret', "x.env:1: the double quote of K is not closed" },
    { 'K="s3cret"x', "x.env:1: something follows the closing quote of K" },
    { "K='s3cret'#x", "x.env:1: something follows the closing quote of K" },
    { [[K="C:\s3cret"]], "x.env:1: a backslash in the double quotes of K" },
    { [[K="s3cret\]], "x.env:1: a backslash" },
    { "K=${s3cret}", "x.env:1: the value of K: ${...} is not expanded" },
    { 'K="${s3cret}"', "x.env:1: the value of K: ${...} is not expanded" },
    { 'K={"a": "s3cret",\n "b": 1}', "x.env:1: the value of K opens a bracket" },
    { 'K={"a": "s3cret', "x.env:1: the value of K opens a bracket" },
    { "K=#s3cret", "x.env:1: the value of K starts with '#'" },
    { "K= # s3cret", "x.env:1: the value of K starts with '#'" },
    { "K='a\nb'\ns3cret/", "x.env:3: there is no '='" },
  }
  for i, case in ipairs(BAD) do
    it("is told with its line and without the value, " .. i, function()
      local _, _, broken = dotenv.parse(case[1] .. "\nM=1", "x.env")
      local wrong = broken[1]
      assert.are.equal(case[2], wrong.text:sub(1, #case[2]))
      assert.is_nil(wrong.text:find("s3", 1, true), wrong.text)
      if wrong.text:find(" K ") then assert.are.equal("K", wrong.name) end
    end)
  end

  it("is no text with a NUL", function()
    local entries, reason = dotenv.parse("K=1\nL=s3\0cret", "x.env")
    assert.is_nil(entries)
    assert.are.equal("x.env:2: a NUL byte", reason:sub(1, 19))
  end)

  it("goes on after a line that cannot be read", function()
    local entries, _, broken = dotenv.parse("A=1\nK=old\nK='x\nB=2\nK K=3\nC=${B}", "x.env")
    assert.are.same({ { name = "A", value = "1", line = 1 },
      { name = "B", value = "2", line = 4 } }, entries)
    local names = {}
    for i, wrong in ipairs(broken) do names[i] = wrong.name .. wrong.line end
    assert.are.same({ "K3", "K5", "C6" }, names)
  end)

  it("lets a later line mend an earlier one", function()
    local entries = dotenv.parse("K=${A}\nK=2", "x.env")
    assert.are.same({ { name = "K", value = "2", line = 2 } }, entries)
  end)

  it("skips a name alone, as Docker does", function()
    local entries, warnings, broken = dotenv.parse("K\n export L \nM=1", "x.env")
    assert.are.same({ { name = "M", value = "1", line = 3 } }, entries)
    assert.are.same({}, warnings)
    assert.are.same({}, broken)
  end)

  it("knows what the program reads itself", function()
    for _, name in ipairs { "AIRFLOW__SECRETS__BACKEND_KWARGS", "AZURE_TENANT_ID",
      "MOONLATCH_POLICY", "SSL_CERT_FILE", "HTTPS_PROXY", "no_proxy" } do
      assert.is_true(dotenv.is_needed(name))
    end
    for _, name in ipairs { "AIRFLOW__CORE__X", "K", "MY_AZURE_X" } do
      assert.is_false(dotenv.is_needed(name))
    end
    assert.is_false(dotenv.is_needed(nil))
  end)
end)
