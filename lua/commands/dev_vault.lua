-- dev-vault: a local Key Vault and Entra ID for development.
local report = require "moonlatch.commands.shared.report"

local M = {}

function M.define(p)
    p:option("--listen", "address; port 0 means any"):argname("HOST:PORT")
    p:option("--vault", "a vault's name; may be repeated"):argname("NAME"):count("*")
        :target("vaults")
    p:option("--seed", "secrets to begin with"):argname("FILE.json")
    p:option("--store", "keep secrets in FILE; default: memory"):argname("FILE.db")
    p:option("--tenant-id", "default: generated"):argname("ID")
    p:option("--client-id", "default: generated"):argname("ID")
    p:option("--client-secret", "default: generated; for tests, others can see it")
        :argname("SECRET")
    p:option("--state-dir", "where the CA, key and env file go"):argname("DIR")
    p:option("--fault", "fail on purpose, e.g. 429:0.2 or 503:first=3; repeatable")
        :argname("SPEC"):count("*"):target("faults")
    p:option("--page-size", "items of a list answer"):argname("N"):convert(tonumber)
    p:option("--ready-fd", "write the ready line there too"):argname("N"):convert(tonumber)
    p:option("--print-env", "print the environment of a running one, for eval")
        :argname("DIR")
end

function M.run(args, app)
    local run = app.system.dev_vault
    if not run then error(report.failure("this build has no dev vault")) end
    return run(args)
end

return M
