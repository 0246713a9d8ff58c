-- sha256.lua - SHA-256 as 64 hex digits (FIPS 180-4); for fakes.
local function primes(n)
  local found = { 2 }
  local candidate = 3
  while #found < n do
    local is_prime = true
    for _, p in ipairs(found) do is_prime = is_prime and candidate % p ~= 0 end
    if is_prime then found[#found + 1] = candidate end
    candidate = candidate + 1
  end
  return found
end

-- The first 32 bits behind the point of a root.
local function fraction(root) return math.floor((root % 1) * 2 ^ 32) end

local K, START = {}, {}
for i, p in ipairs(primes(64)) do
  K[i] = fraction(p ^ (1 / 3))
  if i <= 8 then START[i] = fraction(p ^ 0.5) end
end

local function rotate(x, n) return (x >> n | x << (32 - n)) & 0xffffffff end

local function schedule(block)
  local w = table.pack(string.unpack(">I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", block))
  for i = 17, 64 do
    local a, b = w[i - 15], w[i - 2]
    local s0 = rotate(a, 7) ~ rotate(a, 18) ~ a >> 3
    local s1 = rotate(b, 17) ~ rotate(b, 19) ~ b >> 10
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) & 0xffffffff
  end
  return w
end

local function add_block(state, block)
  local w = schedule(block)
  local a, b, c, d, e, f, g, h = table.unpack(state)
  for i = 1, 64 do
    local t1 = h + (rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)) + (e & f ~ ~e & g) + K[i] + w[i]
    local t2 = (rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)) + (a & b ~ a & c ~ b & c)
    a, b, c, d, e, f, g, h = (t1 + t2) & 0xffffffff, a, b, c, (d + t1) & 0xffffffff, e, f, g
  end
  for i, v in ipairs { a, b, c, d, e, f, g, h } do state[i] = (state[i] + v) & 0xffffffff end
end

return function(text)
  local state = table.move(START, 1, 8, 1, {})
  local padded = text .. "\x80" .. ("\0"):rep((55 - #text) % 64) .. string.pack(">I8", #text * 8)
  for at = 1, #padded, 64 do add_block(state, padded:sub(at, at + 63)) end
  return ("%08x"):rep(8):format(table.unpack(state))
end
