-- completion: a script for a shell, made from the same flags that the verbs parse.
local flags = require "moonlatch.commands.shared.flags"
local verbs = require "moonlatch.commands.shared.verbs"

local M = {}

function M.define(p)
    p:argument("shell", "bash, zsh or fish"):argname("SHELL")
        :choices { "bash", "zsh", "fish" }
end

local function command(parent, word, summary)
    return parent:command(word, summary):add_help(false)
end

local function whole_tree()
    local root = require "argparse"("moonlatch", "secrets by name"):add_help(false)
    root:require_command(false)
    local groups = {}
    for _, verb in ipairs(verbs.names()) do
        local module = verbs.load(verb)
        local group, word = verb:match("^(%S+) (.+)$")
        if group and not groups[group] then
            groups[group] = command(root, group, "verbs about " .. group .. " files")
            groups[group]:require_command(false)
        end
        flags.define(command(groups[group] or root, word or verb, module.summary), module)
    end
    return root
end

-- Words of arguments, which argparse's script for bash leaves out.
local BASH = [[
    case "$COMP_CWORD $prev" in
        "2 help")
            COMPREPLY=($(compgen -W "%s" -- "$cur"))
            return 0
            ;;
        "2 completion")
            COMPREPLY=($(compgen -W "bash zsh fish" -- "$cur"))
            return 0
            ;;
        *" --policy")
            COMPREPLY=($(compgen -W "airflow" -- "$cur") $(compgen -f -- "$cur"))
            return 0
            ;;
    esac
]]

-- argparse's script for zsh is a file of $fpath; sourced, it has to register instead.
local ZSH = [=[
if [[ ${funcstack[1]} == _moonlatch ]]; then
  _moonlatch "$@"
else
  compdef _moonlatch moonlatch
fi
]=]

-- As BASH: words of arguments.
local FISH = [[
complete -c moonlatch -n '__fish_moonlatch_seen_command help' -xa '%s'
complete -c moonlatch -n '__fish_moonlatch_seen_command completion' -xa 'bash zsh fish'
]]

local finish = {}

function finish.bash(script, names)
    local words = BASH:format(names)
    return (script:gsub('    opts=""\n', function(line) return line .. words end, 1))
end

function finish.zsh(script)
    return (script:gsub("\n_moonlatch%s*$", function() return "\n" .. ZSH end))
end

function finish.fish(script, names)
    return script .. FISH:format(names)
end

function M.run(args, app)
    local root = whole_tree()
    local script = root["get_" .. args.shell .. "_complete"](root)
    script = finish[args.shell](script, table.concat(verbs.names(), " "))
    app.write(script)
    return 0
end

return M
