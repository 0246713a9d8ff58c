-- dev-vault: a local Key Vault and Entra ID for development.
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"

local M = {}

M.epilog = "Each vault is at https://NAME.localhost:PORT, the first one at\n"
    .. 'https://localhost:PORT, too.  A seed is {"VAULT": {"SECRET": "text", ...}}; instead\n'
    .. 'of a text {"value":, "contentType":, "tags":, "attributes":}; its vaults are\n'
    .. "made, too.  Faults: any status, delay=200ms, reset, lost, truncate, html, redirect,\n"
    .. "garbage, big, deep, chunked, forbid=rbac, disabled=GLOB, token-500 and others\n"
    .. "(README, The dev vault), with a chance or first=N, for=5s, op=get, retry-after=S.\n"
    .. "They are chosen at the start: to begin or end an outage, start it again with the\n"
    .. "same --state-dir and --seed; port, tenant and client secret stay.\n"

local function define_server(p)
    p:option("--listen", "address; port 0 means any"):argname("HOST:PORT")
    p:flag("--allow-remote", "let --listen name an address that is not loopback")
    p:option("--imds-listen", "plain HTTP, for identity endpoints"):argname("HOST:PORT")
    p:option("--state-dir", "where the CA, key and env file go"):argname("DIR")
    p:option("--ready-fd", "write the ready line there too")
        :argname("N"):convert(flags.number("--ready-fd", 0))
    p:option("--print-env", "print the environment of a running one, for eval")
        :argname("DIR")
end

local function define_content(p)
    p:option("--vault", "a vault's name, of https://NAME.localhost:PORT; may be repeated")
        :argname("NAME"):count("*"):target("vaults")
    p:option("--seed", "secrets to begin with"):argname("FILE.json")
    p:option("--store", "keep secrets in FILE; default: memory"):argname("FILE.db")
    p:option("--page-size", "items of a list answer")
        :argname("N"):convert(flags.number("--page-size", 1))
end

local function define_identity(p)
    p:option("--tenant-id", "default: generated"):argname("ID")
    p:option("--client-id", "default: generated"):argname("ID")
    p:option("--client-secret", "default: generated; for tests, others can see it")
        :argname("SECRET")
    p:option("--client-secret-expired", "this one is refused as expired"):argname("SECRET")
    p:option("--identity-header", "default: generated"):argname("TEXT")
    p:option("--token-lifetime", "seconds")
        :argname("N"):convert(flags.number("--token-lifetime", 1))
        :target("token_lifetime_s")
end

local function define_faults(p)
    p:option("--fault", "fail on purpose, e.g. 429:0.2 or 503:first=3; repeatable")
        :argname("SPEC"):count("*"):target("faults")
    p:option("--fault-seed", "the same faults each time")
        :argname("N"):convert(flags.number("--fault-seed", 0))
end

function M.define(p)
    define_server(p)
    define_content(p)
    define_identity(p)
    define_faults(p)
end

function M.run(args, app)
    local dev_vault = app.system.dev_vault
    if not dev_vault then error(report.failure("this build has no dev vault")) end
    assert(dev_vault(args))
    return 0
end

return M
