-- encode_spec.lua - encoded names: golden vectors, and claims about many random ones.
require "support.fake_core"
local encode = require "moonlatch.encode"

local GOLDEN = {
  { "billing/db_password", "billing--db-0password" },
  { "db-password", "db-password" },
  { "plain123", "plain123" },
  { "airflow/variables/hello_world", "airflow--variables--hello-0world" },
  { "a/b/c", "a--b--c" },
  { "server-01", "server-101" },
  { "ends-", "ends-1" },
  { "a-_b", "a-1-0b" },
  { "-a", "-a" },
  { "--", "-1-1" },
  { "//", "----" },
  { "api.v2:x y", "api-2v2-5x-6y" },
  { "myKey", "my-3key" },
  { "DB_URL", "-4db-0-4url" },
  { "DBx", "-3d-3bx" },
  { "XMLHttp", "-3x-3m-3l-3http" },
  { "AWS2", "-4aws2" },
  { "a-B", "a-1-3b" },
  { "\0\255", "-900-9ff" },
  { "ä", "-9c3-9a4" },
  { "", "" },
  { ("x"):rep(127), ("x"):rep(127) },
  { ("x"):rep(128),
    ("x"):rep(85) .. "-724da1b81d0b16df6428eee73c69fcb2a93c76bc6" },
}

describe("encode", function()
  for _, c in ipairs(GOLDEN) do
    it(("of %q"):format(c[1]:sub(1, 40)), function()
      assert.equal(c[2], encode.encode(c[1]))
      if #c[1] <= 127 then
        assert.equal(c[1], encode.decode(c[2]))
        assert.equal(c[1], encode.decode(c[2]:upper()))
      end
    end)
  end
end)

-- ---- many names ----

local seed = 20240229
local function random(n)
  seed = (seed * 1103515245 + 12345) & 0x7fffffff
  return (seed >> 8) % n
end

local ALPHABETS = { "ab-", "a-/_.:", "aB-", "AB/_", "abc019-_/.: ABCzZ\0\255\195\164" }

local function random_name(longest)
  local alphabet = ALPHABETS[random(#ALPHABETS) + 1]
  local out = {}
  for i = 1, random(longest + 1) do
    local c = random(10) == 0 and string.char(random(256))
      or alphabet:sub(random(#alphabet) + 1):sub(1, 1)
    out[i] = c
  end
  return table.concat(out)
end

it("goes there and back, in the alphabet, for any bytes", function()
  for _ = 1, 8000 do
    local name = random_name(30)
    local key = assert(encode.encode(name))
    assert(#key <= 127 and not key:find("[^a-z0-9-]"), key)
    assert(encode.decode(key) == name, ("%q -> %s"):format(name, key))
    assert(encode.decode(key:upper()) == name)
  end
end)

it("keeps to the length that is asked for, and says when it is a digest", function()
  local digests = 0
  for _ = 1, 1500 do
    local name, max = random_name(80), encode.LEAST + random(60)
    local key = assert(encode.encode(name, max))
    assert(#key <= max)
    local back, why = encode.decode(key)
    if back == nil then
      digests = digests + 1
      assert(why == "digest", ("%q -> %s: %s"):format(name, key, why))
    else
      assert(back == name)
    end
  end
  assert(digests > 150, digests)
end)

it("gives no two names one key, in any case, short ones and digests together", function()
  local known, n = {}, 0
  local function add(name)
    local key = encode.encode(name, 44):lower()
    assert(known[key] == nil or known[key] == name, key)
    if not known[key] then n = n + 1 end
    known[key] = name
  end
  for _ = 1, 20000 do add(random_name(40)) end
  -- All names of up to five bytes of what could be confused.
  local function grow(name, left)
    add(name)
    if left == 0 then return end
    for _, c in ipairs { "-", "a", "A", "1", "/", "_" } do grow(name .. c, left - 1) end
  end
  grow("", 5)
  assert(n > 20000, n)
end)

it("a cut never makes an escape of what it cuts", function()
  for _, c in ipairs { "-", "/", "_", "A", "AB", "ä", "-a" } do
    for room = 0, 12 do
      local name = ("a"):rep(room) .. c:rep(60)
      local key = encode.encode(name, encode.LEAST + room)
      local back, why = encode.decode(key)
      assert.is_nil(back, key)
      assert.equal("digest", why, key)
    end
  end
end)

it("too little room is an error", function()
  assert.equal("short", encode.encode("short", 5))
  local key, problem = encode.encode("longer", 5)
  assert.is_nil(key)
  assert.truthy(problem:find("5 bytes are left"))
end)

describe("decode refuses", function()
  for _, key in ipairs { "a_b", "ä", "-", "a-", "-8", "-3", "-31", "-4", "-41", "-4a", "-4abc-8",
    "-9", "-9a", "-9g0", "-961", "-92f", "a-1b", "-7", "-7abc", "-3a-3b", "a/b",
    "x-7" .. ("0"):rep(39), "x-7" .. ("0"):rep(41), "x-7" .. ("z"):rep(40) } do
    it(key, function()
      local name, why = encode.decode(key)
      assert.is_nil(name)
      assert.equal("not an encoded name", why)
    end)
  end

  it("whatever is not what encode makes of the answer", function()
    local taken = 0
    local alphabet = "ab01234567-9-c-"
    for _ = 1, 10000 do
      local out = {}
      for i = 1, random(12) do out[i] = alphabet:sub(random(#alphabet) + 1):sub(1, 1) end
      local key = table.concat(out)
      local name = encode.decode(key)
      if name then
        taken = taken + 1
        assert(encode.encode(name) == key, key)
      end
    end
    assert(taken > 300, taken)
  end)
end)
