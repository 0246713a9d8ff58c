-- version: of this program and of the libraries it runs with.
local flags = require "moonlatch.commands.shared.flags"
local json = require "moonlatch.commands.shared.json"

local M = {}

function M.define(p)
    flags.add_json(p, "as JSON")
end

function M.run(args, app)
    local v = app.system.versions()
    local list = { { "moonlatch", app.moonlatch.version }, { "libcurl", v.libcurl },
                   { "openssl", v.openssl }, { "lua", v.lua } }
    if args.json then
        app.write(json.encode(json.object(list)) .. "\n")
        return 0
    end
    for _, pair in ipairs(list) do app.write(("%s %s\n"):format(pair[1], pair[2])) end
    return 0
end

return M
