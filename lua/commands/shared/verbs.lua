-- verbs: the list of verbs; a verb's file is loaded only when it is used.
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

-- "policy": is it the first word of verbs of two words?
function M.is_group(word)
    for _, entry in ipairs(M.list) do
        if entry[1]:match("^(%S+) ") == word then return true end
    end
    return false
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
