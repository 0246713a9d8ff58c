-- commands_world.lua - a scripted resolver and terminal for the commands, without C.
local root = os.getenv("ML_ROOT") or "."
table.insert(package.searchers, 2, function(name)
    local file = name:match("^moonlatch%.(.*)$")
    if not file then return nil end
    file = file:gsub("%.", "/")
    for _, dir in ipairs { "/lua/", "/lua/moonlatch/" } do
        local chunk = loadfile(root .. dir .. file .. ".lua")
        if chunk then return chunk, name end
    end
    return nil
end)
local main = require("moonlatch.commands.shared.main").main

local function secret(fields)
    local s = {}
    for _, word in ipairs { "name", "source", "key", "version", "content_type" } do
        s[word] = function() return fields[word] or "" end
    end
    function s.bytes() return fields.bytes end
    function s.tags() return fields.tags or {} end
    function s.attributes() return fields.attributes or { enabled = true } end
    return s
end

local function failure(code, exit, words)
    return setmetatable({ code = code, exit = exit, text = words or code .. " it is" },
        { __tostring = function(e) return e.text end })
end

-- A world: what the resolver answers, what the terminal is; then what happened in it.
local function world(w)
    w = w or {}
    w.calls, w.stdout, w.stderr = {}, {}, {}
    local answers, env, files = w.answers or {}, w.env or {}, w.files or {}
    local resolver = setmetatable({}, { __index = function(_, verb)
        return function(self, ...)
            local words = table.pack(...)
            if verb == "run" then
                return self[words[1]](self, table.unpack(words, 2, words.n))
            end
            w.calls[#w.calls + 1] = { verb = verb, table.unpack(words, 1, words.n) }
            local answer = answers[verb]
            if answer == nil then return nil, failure("missing", 3) end
            if answer.exit then return nil, answer end
            return answer
        end
    end })
    w.app = {
        err = { write = function(_, ...)
            for i = 1, select("#", ...) do w.stderr[#w.stderr + 1] = (select(i, ...)) end
        end },
        getenv = function(name) return env[name] end,
        moonlatch = { version = "1.2.3", open = function(options)
            w.options = options
            if w.open_error then return nil, w.open_error end
            return resolver
        end },
        system = {
            isatty = function(fd) return (w.tty or {})[fd] or false end,
            write = function(bytes) w.stdout[#w.stdout + 1] = bytes return true end,
            read_file = function(path)
                local bytes = files[path or "-"]
                if not bytes then return nil, "No such file or directory" end
                return bytes
            end,
            dotenv = function(content) return w.dotenv[content] end,
            create_file = function(path, bytes)
                if files[path] then return nil, "File exists" end
                files[path] = bytes
                return true
            end,
            has_variables = function(prefix)
                for name in pairs(env) do
                    if name:sub(1, #prefix) == prefix then return true end
                end
                return false
            end,
            is_readable = function(path) return files[path] ~= nil end,
            prompt = function(question, echo)
                w.asked = { question, echo }
                return w.typed, not w.typed and "nothing was typed" or nil
            end,
            mono_ms = function() w.now = (w.now or 0) + 10 return w.now end,
            versions = function() return { libcurl = "7", openssl = "3", lua = "5.4.4" } end,
        },
    }
    return w
end

-- -> exit code, stdout, stderr
local function run(w, ...)
    local code = main({ ... }, w.app)
    return code, table.concat(w.stdout), table.concat(w.stderr)
end

return { secret = secret, failure = failure, world = world, run = run }
