-- completion: a script for a shell, made from the same flags that the verbs parse.
local flags = require "moonlatch.commands.shared.flags"
local verbs = require "moonlatch.commands.shared.verbs"

local M = {}

function M.define(p)
    p:argument("shell", "bash, zsh or fish"):argname("SHELL")
        :choices { "bash", "zsh", "fish" }
end

local function whole_tree()
    local root = require "argparse"("moonlatch", "secrets by name"):add_help(false)
    root:require_command(false)
    for _, verb in ipairs(verbs.names()) do
        local module = verbs.load(verb)
        local p = root:command(verb, module.summary):add_help(false)
        flags.define(p, module)
    end
    return root
end

function M.run(args, app)
    local root = whole_tree()
    app.write(root["get_" .. args.shell .. "_complete"](root))
    return 0
end

return M
