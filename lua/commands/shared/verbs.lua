-- verbs: the list of verbs; a verb's file is loaded only when it is used.
local report = require "moonlatch.commands.shared.report"
local text = require "moonlatch.commands.shared.text"

local M = {}

M.list = {
    { "get", "the value of a name, on stdout" },
    { "explain", "which rules and sources decide about a name, and why" },
    { "list", "names, never values" },
    { "put", "store a value, from stdin, a file or a prompt" },
    { "update", "change attributes, content type or tags" },
    { "delete", "soft-delete" },
    { "recover", "bring back what was soft-deleted" },
    { "purge", "erase what was soft-deleted, for good" },
    { "versions", "every version of a secret" },
    { "backup", "an encrypted copy, to a file or stdout" },
    { "restore", "bring back a backup" },
    { "policy check", "what is wrong with a policy, without asking any source" },
    { "policy test", "run the cases of a policy, offline" },
    { "policy repl", "try names on a policy, line by line" },
    { "dev-vault", "a local Key Vault for development" },
    { "version", "version of this program and its libraries" },
    { "help", "this text, or the help of a verb" },
    { "completion", "a completion script for bash, zsh or fish" },
}

function M.names()
    local names = {}
    for i, entry in ipairs(M.list) do names[i] = entry[1] end
    return names
end

-- "policy" -> "policy check, policy test, ...": the verbs of two words that begin so; nil
-- when there are none.
function M.group(word)
    local names = {}
    for _, name in ipairs(M.names()) do
        if name:match("^(%S+) ") == word then names[#names + 1] = name end
    end
    return #names > 0 and table.concat(names, ", ") or nil
end

-- The error for what is no verb, or the first word of several.
function M.unknown(verb)
    verb = text.printable(verb):gsub("%s+$", "")
    local several = M.group(verb)
    if several then
        return report.usage(("'%s' has a second word: %s"):format(verb, several), "moonlatch help")
    end
    local meant = text.closest(verb, M.names())
    return report.usage(("there is no verb '%s'"):format(verb),
        meant and "moonlatch " .. meant or "moonlatch help")
end

-- nil when there is no such verb.
function M.load(verb)
    for _, entry in ipairs(M.list) do
        if entry[1] == verb then
            local module = require("moonlatch.commands." .. verb:gsub("[- ]", "_"))
            module.summary = entry[2]
            return module
        end
    end
    return nil
end

return M
