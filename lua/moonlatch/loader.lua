-- loader.lua - policies from files: one file, a directory of them, the files of teams.
--
-- Each file has an environment and constructors of its own.  What the files of one policy
-- share is their scope:
--   load       function(text, chunkname, scope) -> policy, of engine.lua
--   dir        directory that relative paths begin at, "" or with a "/" at its end; nil
--              when the policy is a text;  shown: the same as the user wrote it
--   taken      alias of a source -> "file:line" that took it
--   teams      name of a team -> "file:line"
--   files      every file that was read: { path =, is_world_writable = }
--   grants     nil, or what the file of a team may do (team.lua)
--   prefix     what the aliases of a team's sources begin with, else ""
local core = require "moonlatch.core"
local fault = require "moonlatch.fault"
local ruleset = require "moonlatch.ruleset"

local M = {}

local function refuse(text, ...)
  error(fault.new("policy", text:format(...)), 0)
end

function M.scope(load, shown, dir)
  return {
    load = load, shown = shown, dir = dir, taken = {}, teams = {}, files = {}, prefix = "",
  }
end

-- The same policy, seen by the file of a team that is at `file` below the directory.
function M.team_scope(scope, file, name, grants)
  local below = file:match("^(.*/)[^/]*$") or ""
  return {
    load = scope.load, shown = scope.shown .. below, dir = scope.dir .. below,
    taken = scope.taken, teams = scope.teams, files = scope.files,
    grants = grants, prefix = name .. ".",
  }
end

-- A path that a policy names -> one that can be opened: relative ones begin at the
-- directory of the file that names them.  nil, problem when there is none.
function M.resolve(scope, path)
  if path:sub(1, 1) == "/" then return path end
  if not scope.dir then
    return nil, "a relative path needs a policy that is a file: this one is a text"
  end
  return scope.dir .. path
end

-- Each file has a budget of its own, so their number is bounded, too.
local MAX_FILES = 1000

local function note_file(scope, path, is_world_writable)
  if #scope.files == MAX_FILES then
    refuse("policy %s: it has more than %d files", scope.shown, MAX_FILES)
  end
  scope.files[#scope.files + 1] = { path = path, is_world_writable = is_world_writable }
end

-- Text of a regular file below the directory of the policy, and what to call it; or nil,
-- problem.
function M.read_below(scope, file)
  if not scope.dir then
    return nil, "the policy is a text, which has no directory: put it into a file"
  end
  local shown = scope.shown .. file
  local dir = scope.dir == "" and "." or scope.dir
  local text, second = core.policy_file_below(dir, file)
  if not text then return nil, ("%s cannot be read: %s"):format(shown, second) end
  note_file(scope, shown, second)
  return text, "@" .. shown
end

local function directory_of(path)
  return path:match("^(.*/)[^/]*$") or ""
end

local function with_slash(path)
  return (path:gsub("/*$", "/"))
end

-- *.lua, sorted by bytes, without hidden ones; what else is there (the files of teams, in
-- folders) is not looked at.
local function load_directory(load, shown, path)
  local names, problem = core.policy_names(path)
  if not names then refuse("policy %s cannot be read: %s", shown, problem) end
  if #names == 0 then
    refuse("policy %s: the directory has no policy: it needs a file whose name ends in "
      .. ".lua", shown)
  end
  local scope, policies = M.scope(load, with_slash(shown), with_slash(path)), {}
  for i, name in ipairs(names) do
    local text, second = M.read_below(scope, name)
    if not text then refuse("policy %s", second) end
    core.renew_budget()
    policies[i] = load(text, second, scope)
  end
  local policy = ruleset.join(policies)
  policy.files = scope.files
  return policy
end

-- shown: the path as the user gave it; path: the same, absolute.
function M.path(load, shown, path)
  local text, second, is_directory = core.policy_file(path)
  if is_directory then return load_directory(load, shown, path) end
  if not text then refuse("policy %s cannot be read: %s", shown, second) end
  local scope = M.scope(load, directory_of(shown), directory_of(path))
  note_file(scope, shown, second)
  local policy = load(text, "@" .. shown, scope)
  policy.files = scope.files
  return policy
end

return M
