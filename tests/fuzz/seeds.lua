-- seeds.lua - texts to start fuzzing from, as C: the attacks and the policies of the docs.
--
--   lua5.4 seeds.lua OUT.c FILE...
--
-- Of a .txt every attack (tests/attacks/README.md), as a whole policy; of a .md every code
-- block that makes a policy.
local out = assert(io.open(arg[1], "w"))
local seeds = {}

local function read_all(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

local BODY = [[
local ml = require "moonlatch.policy"
local env = ml.environment {}
local function attack(req)
BODYend
return ml.policy { ml.rule "**" { map = function(req) attack(req) return env:key "now-x" end } }
]]

-- Line by line: heads begin with "--- ".
local function attacks_of(text)
  local is_whole, lines
  local function finish()
    if not lines then return end
    local body = table.concat(lines, "\n") .. "\n"
    seeds[#seeds + 1] = is_whole and body
      or (BODY:gsub("BODY", function() return body end))
  end
  for line in text:gmatch("([^\n]*)\n?") do
    local head = line:match("^%-%-%- (.*: .*)$")
    if head then
      finish()
      is_whole, lines = head:find("^whole ") ~= nil, {}
    elseif lines then
      lines[#lines + 1] = line
    end
  end
  finish()
end

-- Fenced, or indented by four blanks.
local function blocks_of(text)
  local function take(block)
    if block:find("ml.policy {", 1, true) then seeds[#seeds + 1] = block end
  end
  for block in text:gmatch("\n```[^\n]*\n(.-)\n```") do take(block) end
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    if line:find("^    ") or line == "" and #lines > 0 then
      lines[#lines + 1] = line:sub(5)
    else
      take(table.concat(lines, "\n"))
      lines = {}
    end
  end
end

local function c_string(s)
  return '"' .. s:gsub('[^%w %-+*/.,:;=(){}<>|_\'!#&%[%]~^]', function(c)
    return ("\\%03o"):format(c:byte())
  end) .. '"'
end

for i = 2, #arg do
  local text = read_all(arg[i])
  if arg[i]:find("%.md$") then blocks_of(text) else attacks_of(text) end
end
out:write("/* Made by seeds.lua. */\n#include <stddef.h>\n")
out:write("extern const char *const fuzz_seeds[];\nconst char *const fuzz_seeds[] = {\n")
for _, s in ipairs(seeds) do out:write("    ", c_string(s), ",\n") end
out:write("    NULL};\n")
out:close()
