-- base64.lua - text of the standard alphabet -> its bytes, nil when it is none; for fakes.
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

return function(text)
  local bits, n, out = 0, 0, {}
  for c in text:gsub("=*$", ""):gmatch(".") do
    local digit = ALPHABET:find(c, 1, true)
    if not digit then return nil end
    bits, n = (bits << 6 | digit - 1) & 0xffff, n + 6
    if n >= 8 then
      n = n - 8
      out[#out + 1] = string.char(bits >> n & 255)
    end
  end
  return table.concat(out)
end
