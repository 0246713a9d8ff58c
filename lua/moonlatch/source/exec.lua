-- moonlatch.source.exec - a helper program of this machine as a source.
--
-- Written with what every policy has; copy it into a policy of yours to change it.  The
-- host must allow programs: moonlatch --allow-exec, or allow_exec in ml_options.
--
--   local program = require "moonlatch.source.exec"
--   local pass = program {
--     argv  = { "/usr/bin/pass", "show", "{key}" },    -- no shell; the whole path
--     env   = { HOME = ml.env "HOME", TOKEN = ml.env_secret "TOKEN" },   -- nothing else
--     stdin = nil,                     -- text or secret
--     exits = { [1] = "missing" },     -- what exit statuses mean; 0 is found
--     keep_newline = false,            -- else one line end is taken off the output
--     check = function(key) end,       -- nil, or why the program cannot have this key
--     alias = "exec", timeout_ms = 10000, max_bytes = 1048576,
--   }
--
-- Statuses that are not in `exits` are "unavailable": a program that failed must not look
-- as if it had found nothing.  A key that begins with '-' is refused: it would be read as
-- an option.
local ml = require "moonlatch.policy"

local OPTIONS = {
  argv = "table", env = "table", exits = "table", stdin = true, keep_newline = "boolean",
  check = "function", alias = "string", timeout_ms = "number", max_bytes = "number",
}

local function check_options(o)
  for name, value in pairs(o) do
    local want = OPTIONS[name]
    if not want then error("exec: there is no option '" .. tostring(name) .. "'", 3) end
    if want ~= true and type(value) ~= want then
      error(("exec: the option '%s' must be a %s"):format(name, want), 3)
    end
  end
  local program = o.argv and o.argv[1]
  if type(program) ~= "string" or program:sub(1, 1) ~= "/" then
    error('exec: the option \'argv\' needs a list that begins with a whole path', 3)
  end
end

local function argv_for(o, key)
  local argv = {}
  for i, word in ipairs(o.argv) do
    argv[i] = i > 1 and word:gsub("{key}", (key:gsub("%%", "%%%%"))) or word
  end
  return argv
end

local function get(o, key)
  local answer, outcome, text = ml.exec {
    argv = argv_for(o, key), env = o.env, stdin = o.stdin,
    timeout_ms = o.timeout_ms, max_bytes = o.max_bytes,
  }
  if not answer then return nil, outcome, text end
  if answer.status ~= 0 then
    return nil, o.exits and o.exits[answer.status] or "unavailable",
      ("%s ended with status %d"):format(o.argv[1], answer.status)
  end
  return o.keep_newline and answer.output or ml.chomp(answer.output)
end

local function check(o, key)
  if key:sub(1, 1) == "-" then return "a key that begins with '-' would be an option" end
  if key:find("%c") then return "a key has no control characters" end
  if o.check then return o.check(key) end
end

return function(o)
  if type(o) ~= "table" then error("exec: a table of options is needed", 2) end
  check_options(o)
  return ml.source {
    alias = o.alias or "exec", label = o.argv[1], exec = true,
    check = function(key) return check(o, key) end,
    get = function(key) return get(o, key) end,
  }
end
