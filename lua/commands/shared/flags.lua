-- flags: one argparse parser a verb, with the flags that several verbs share.
local report = require "moonlatch.commands.shared.report"
local text = require "moonlatch.commands.shared.text"

local M = {}

-- A reader of one flag's word that names the flag when it fails, never the word.
local function converted(flag, reader)
    return function(word)
        local value, problem = reader(word)
        if value == nil then return nil, flag .. " " .. problem end
        return value
    end
end

local function pairs_of(flag)
    return function(word)
        local name, value = text.key_value(word)
        if not name then return nil, flag .. " " .. value end
        return { name, value }
    end
end

local function time_of(word)
    return text.time_s(word, os.time())
end

-- How to talk: every verb has these.
local function add_common(p)
    p:flag("-h --help", "print this help"):target("help")
    p:flag("-v --verbose", "say on stderr which step answered; -vv logs all"):count("*"):target("verbose")
    p:option("--log-format", "how messages look on stderr"):choices { "text", "json" }
    p:option("--color", "colours on stderr"):choices { "auto", "always", "never" }
end

-- What to resolve with: every verb that opens a policy.
function M.add_resolver(p)
    p:option("--policy", "a Lua policy, or the word airflow"):argname("FILE|airflow")
    p:option("--context", "tell the policy something: team=billing")
        :argname("NAME=VALUE"):count("*"):convert(pairs_of "--context")
    p:option("--env-file", "read variables from FILE first; of several, the last wins")
        :argname("FILE"):count("*"):target("env_files")
    p:option("--timeout", "of the whole run: 5s, 500ms, 2m, at most 24h"):argname("TIME")
        :convert(converted("--timeout", text.duration_ms)):target("timeout_ms")
    p:flag("--allow-exec", "let sources of the policy run programs"):target("allow_exec")
    p:option("--budget-dir", "share request budgets with all runs that name this directory")
        :argname("DIR"):target("budget_dir")
    p:flag("--refresh", "do not answer from a cache")
end

function M.add_json(p, what)
    p:flag("--json", what)
end

-- Metadata of a secret, for put and update.
function M.add_metadata(p)
    p:option("--content-type", "what kind of value it is"):argname("TYPE")
    p:option("--tag", "a tag; give all of them"):argname("NAME=VALUE"):count("*")
        :convert(pairs_of "--tag"):target("tags")
    p:option("--expires", "2027-01-31, 2027-01-31T12:00:00Z or +90d"):argname("TIME")
        :convert(converted("--expires", time_of)):target("expires_s")
    p:option("--not-before", "the same forms"):argname("TIME")
        :convert(converted("--not-before", time_of)):target("not_before_s")
end

-- --enabled/--disabled, in both spellings people try.
function M.add_enabled(p)
    p:mutex(p:flag("--enable --enabled", "make it usable"):target("enable"),
            p:flag("--disable --disabled", "make it unusable"):target("disable"))
end

function M.define(p, module)
    if module.define then module.define(p) end
    add_common(p)
    return p
end

function M.parser(verb, module)
    local argparse = require "argparse"
    local p = argparse("moonlatch " .. verb, module.summary):add_help(false)
    p:help_max_width(88)
    if module.epilog then p:epilog(module.epilog) end
    return M.define(p, module)
end

local function wants_help(words)
    for _, word in ipairs(words) do
        if word == "--" then return false end
        if word == "-h" or word == "--help" then return true end
    end
    return false
end

-- Names the name, never the value.
local function refuse_twice(pairs_list, flag)
    local seen = {}
    for _, pair in ipairs(pairs_list or {}) do
        if seen[pair[1]] then
            error(report.usage(("%s %s is given twice"):format(flag,
                text.printable(pair[1]))))
        end
        seen[pair[1]] = true
    end
end

-- A reader of whole numbers from `least` on.
function M.number(flag, least)
    return converted(flag, function(word)
        local n = math.tointeger(tonumber(word))
        if n and n >= least then return n end
        return nil, ("must be a whole number, %d or more"):format(least)
    end)
end

-- argparse quotes the word it stumbled over.  Words that are flags may be shown; others
-- may be a value that does not belong in a command line at all.
local function safe_message(problem, module)
    problem = problem:gsub("%s*\nDid you mean", "; did you mean"):gsub("\n", " ")
    local word = problem:match("^unknown option '([^']*)'")
    if word and not word:find("^%-%-?%a[%a-]*$") then return "unknown option" end
    if word and module.hides_words and not word:find("^%-%-") then return "unknown option" end
    return text.printable(problem)
end

-- "--timeout -1s" is a wrong time and no flag: what looks like a negative number belongs
-- to the long flag before it.
local function joined(words)
    local out = {}
    for i, word in ipairs(words) do
        local before = words[i - 1] or ""
        if word:find("^%-%d") and before:find("^%-%-%a[%a-]*$") then
            out[#out] = before .. "=" .. word
        else
            out[#out + 1] = word
        end
    end
    return out
end

-- Parses words; raises a usage error.  Returns nil and the help text when asked for it.
function M.parse(verb, module, words)
    local p = M.parser(verb, module)
    if wants_help(words) then return nil, p:get_help() end
    local ok, result = p:pparse(joined(words))
    if ok then
        refuse_twice(result.context, "--context")
        refuse_twice(result.tags, "--tag")
        return result
    end
    error(report.usage(safe_message(result, module), "moonlatch help " .. verb))
end

-- { {"a", "1"}, ... } -> { a = "1" }; nil when there are none.
function M.table_of(pairs_list)
    if not pairs_list or #pairs_list == 0 then return nil end
    local t = {}
    for _, pair in ipairs(pairs_list) do t[pair[1]] = pair[2] end
    return t
end

-- --enable -> true, --disable -> false, neither -> nil.
function M.enabled_of(args)
    if args.enable then return true end
    if args.disable then return false end
    return nil
end

return M
