-- connection_spec.lua - stored connections are read as Airflow reads them.
local connection = require "moonlatch.connection"

-- value / expected fields: conn_type host login password port schema extra; "-" = None.
local URIS = {
  { "scheme://user:pass@host:100", "scheme", "host", "user", "pass", 100, "", "-" },
  { "postgresql://u:p%2Fw%40x@DB.Example.COM:5432/my%20db?sslmode=require&opt=",
    "postgres", "db.example.com", "u", "p/w@x", 5432, "my db",
    '{"sslmode": "require", "opt": ""}' },
  { "google-cloud-platform://?key_path=%2Fk.json&scope=a%2Cb", "google_cloud_platform", "",
    "-", "-", "-", "", '{"key_path": "/k.json", "scope": "a,b"}' },
  { "google_cloud_platform://?x=1", "", "", "-", "-", "-", "oogle_cloud_platform//",
    '{"x": "1"}' },
  { "http://https://user:pw@host:8080/p", "http", "https://host", "user", "pw", 8080, "p",
    "-" },
  { "aws://?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D", "aws", "", "-", "-", "-", "",
    '{"a": {"b": 1}}' },
  { "wasb://acc:key@", "wasb", "", "acc", "key", "-", "", "-" },
  { "ssh://:pw@host", "ssh", "host", "", "pw", "-", "", "-" },
  { "aws://@/?r=1", "aws", "", "", "-", "-", "", '{"r": "1"}' },
  { "mysql://u:p@%2Ftmp%2FSock/db", "mysql", "/tmp/Sock", "u", "p", "-", "db", "-" },
  { "mysql://u@x:p@h/db", "mysql", "h", "u@x", "p", "-", "db", "-" },
  { "mysql://u:a:b@h/db", "mysql", "h", "u", "a:b", "-", "db", "-" },
  { "mysql://[::1]:3306/db", "mysql", "::1", "-", "-", 3306, "db", "-" },
  { "x://h?a=1&a=2", "x", "h", "-", "-", "-", "", '{"a": "2"}' },
  { "x://h?a=1;b=2", "x", "h", "-", "-", "-", "", '{"a": "1;b=2"}' },
  { "x://h?a+b=c+d", "x", "h", "-", "-", "-", "", '{"a b": "c d"}' },
  { "justtext", "", "", "-", "-", "-", "usttext", "-" },
  -- not in the table, the same rules
  { "  mysql://h/db\n", "mysql", "h", "-", "-", "-", "db", "-" },
  { "MySQL://Host/db", "mysql", "host", "-", "-", "-", "db", "-" },
  { "x://h?%C3%BC=%FF", "x", "h", "-", "-", "-", "", '{"\\u00fc": "\\ufffd"}' },
  { "x://h:", "x", "h", "-", "-", "-", "", "-" },
  { "x://h:0", "x", "h", "-", "-", 0, "", "-" },
}
local NAMES = { "conn_type", "host", "login", "password", "port", "schema", "extra" }

local function parsed(value)
  local conn, reason = connection.parse(value)
  assert.is_nil(reason)
  return conn
end

local function refused(value)
  local conn, reason = connection.parse(value)
  assert.is_nil(conn)
  assert.is_string(reason)
  return reason
end

describe("a connection's URI", function()
  for _, case in ipairs(URIS) do
    it("is taken apart: " .. case[1], function()
      local conn = parsed(case[1])
      for i, name in ipairs(NAMES) do
        local want = case[i + 1]
        if want == "-" then want = nil end
        assert.are.equal(want, conn[name], name)
      end
    end)
  end

  -- value / a part of the reason / what the reason must not contain
  local BAD = {
    { "mysql://u:p4ss#w@h/db", "port is not a number.*%%23", "p4ss" },
    { "mysql://h4st:99999/db", "above 65535", "h4st" },
    { "mysql://h4st:4bc", "port is not a number", "4bc" },
    { "mysql://h4st:+5", "port is not a number", "h4st" },
    { "a://b4://c://d", "more than twice", "b4" },
    { "http://a4@https://h", 'second "://"', "a4" },
    { "mysql://[h4st/db", "no partner", "h4st" },
    { "mysql://[h4st]/db", "not an IPv6 address", "h4st" },
    { "mysql://[127.0.0.1]/db", "not an IPv6 address", "127" },
    { "x://h\u{2100}4/", "stands for", "h\u{2100}" },
    { "x://h?__extra__=b4d", "__extra__ is not a JSON object", "b4d" },
    { "x://h?__extra__=%5B4%5D", "__extra__ is not a JSON object", "4" },
    { "x://\xFF4", "not UTF%-8", "\xFF" },
    { "", "empty", "%d" },
    { " \n\u{3000}", "only blanks", "%d" },
  }
  for i, case in ipairs(BAD) do
    it("is refused without being quoted, " .. i, function()
      local reason = refused(case[1])
      assert.is_truthy(reason:find(case[2]), reason)
      assert.is_nil(reason:gsub("0 to 65535", ""):gsub("IPv6", ""):gsub("65535", "")
        :gsub("%%2[F35]", ""):gsub("%%40", ""):find(case[3]), reason)
    end)
  end
end)

describe("a connection's JSON", function()
  it("gives the fields", function()
    local conn = parsed('{"conn_type": "google-cloud-platform", "host": "H", '
      .. '"login": "l", "password": "p", "schema": "s", "port": "5432", '
      .. '"description": "d", "extra": {"b": [1, 2.50, true, null], "a": "\\u00fc"}}')
    assert.are.same({ conn_type = "google_cloud_platform", host = "H", login = "l",
      password = "p", schema = "s", port = 5432, description = "d",
      extra = '{"b": [1, 2.5, true, null], "a": "\\u00fc"}' }, conn)
  end)

  it("renames postgresql alone", function()
    assert.are.equal("postgres", parsed('{"conn_type": "postgresql"}').conn_type)
    assert.are.equal("postgresql_x", parsed('{"conn_type": "postgresql-x"}').conn_type)
  end)

  it("keeps extra's text and drops an empty one", function()
    assert.are.equal('{ "a":1}', parsed('{"extra": "{ \\"a\\":1}"}').extra)
    for _, empty in ipairs { "null", "{}", '""', "[]", "false", "0" } do
      assert.is_nil(parsed('{"extra": ' .. empty .. "}").extra)
    end
  end)

  it("needs no type", function()
    assert.are.same({}, parsed("{}"))
    assert.are.same({ host = "h" }, parsed(' {"host": "h", "conn_type": null} '))
  end)

  it("reads ports as int() does", function()
    for text, port in pairs { ['" 5_4 "'] = 54, ['"+7"'] = 7, ["0"] = 0,
      ["65535"] = 65535, ['"00080"'] = 80 } do
      assert.are.equal(port, parsed('{"port": ' .. text .. "}").port)
    end
    assert.is_nil(parsed('{"port": ""}').port)
    assert.is_nil(parsed('{"port": null}').port)
  end)

  it("may hold a URI alone", function()
    local conn = parsed('{"uri": "mysql://u:p@h/db", "description": "d"}')
    assert.are.same({ conn_type = "mysql", host = "h", login = "u", password = "p",
      schema = "db", description = "d" }, conn)
  end)

  it("takes the last of equal fields", function()
    assert.are.equal("b", parsed('{"host": "a", "host": "b"}').host)
  end)

  local BAD = {
    { '{"host": "s3cret"', "line 1, column 18: a comma" },
    { '{"host": "s3cret', "column 10: a text that does not end" },
    { '{\n "host": s3cret}', "line 2, column 10: a value is missing" },
    { '{"s3cret": 1}', "column 2: a connection has no such field; it has conn_type" },
    { '{"conn_id": "s3cret"}', "no such field" },
    { '{"port": "s3cret"}', "column 10: port is not a whole number" },
    { '{"port": 1.0, "host": "s3cret"}', "not a whole number" },
    { '{"port": true, "host": "s3cret"}', "not a whole number" },
    { '{"port": 65536, "host": "s3cret"}', "not in 0 to 65535" },
    { '{"port": -1, "host": "s3cret"}', "not in 0 to 65535" },
    { '{"extra": "s3cret"}', "extra is not a JSON object" },
    { '{"extra": ["s3cret"]}', "extra is not a JSON object" },
    { '{"uri": "s3cret://h", "host": "x"}', "uri stands beside" },
    { '{"uri": 3, "description": "s3cret"}', "uri is not a text" },
    { '{"uri": "x://h:s3cret"}', "uri: the port" },
    { '{"conn_type": ["s3cret"]}', "conn_type is not a text" },
    { '{"host": {"s3cret": 1}}', "host is not a text" },
    { '{"host": "s3cret"} x', "something follows" },
    { '{"host": "s3cret\n"}', "control character" },
    { '{"host": "s3cret\\x"}', "not an escape" },
    { '{"host": "s3cret",}', "field's name" },
    { '{"host" "s3cret"}', "a colon" },
    { '{"extra": ' .. ("["):rep(1000), "too deep" },
  }
  for i, case in ipairs(BAD) do
    it("is refused without being quoted, " .. i, function()
      local reason = refused(case[1])
      assert.is_truthy(reason:find(case[2], 1, true), reason)
      assert.is_nil(reason:find("s3cret", 1, true), reason)
    end)
  end
end)

describe("a connection's output", function()
  local conn = parsed("mysql://u:s3cret@h:1/db?k=s3cret")

  it("hides password and extra", function()
    assert.are.same({ conn_type = "mysql", host = "h", login = "u", password = "***",
      schema = "db", port = 1, extra = "***" }, connection.redacted(conn))
    assert.is_nil(connection.to_json(conn):find("s3cret", 1, true))
  end)

  it("shows them when asked to", function()
    assert.are.same(conn, connection.redacted(conn, true))
    assert.are.equal('{"conn_type": "mysql", "description": null, "host": "h", '
      .. '"login": "u", "password": "s3cret", "schema": "db", "port": 1, '
      .. '"extra": "{\\"k\\": \\"s3cret\\"}"}', connection.to_json(conn, true))
  end)

  it("hides what may be a bare password", function()
    assert.is_nil(connection.to_json(parsed("s3cret")):find("3cret", 1, true))
    assert.is_truthy(connection.to_json(parsed("s3cret"), true):find("3cret", 1, true))
  end)
end)
