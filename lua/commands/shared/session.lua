-- session: which policy, which variables, and the open resolver of one run.
local env_file = require "moonlatch.commands.shared.env_file"
local flags = require "moonlatch.commands.shared.flags"
local report = require "moonlatch.commands.shared.report"

local M = {}

local AIRFLOW = [[
local ml = require "moonlatch.policy"
return ml.policy { ml.airflow { bare_names = true } }
]]

local function env_of_files(app, paths)
    local env = {}
    for _, path in ipairs(paths or {}) do
        local added, problem = env_file.add(app, env, path)
        if not added then error(report.usage(problem)) end
    end
    return env
end

local function readable(app, path)
    return path and app.system.is_readable(path)
end

local function named(policy)
    if policy == "airflow" then return { text = AIRFLOW, name = "airflow" } end
    return { file = policy }
end

local function user_policy(getenv)
    local base = getenv("XDG_CONFIG_HOME")
    if (base or "") == "" then
        local home = getenv("HOME")
        base = (home or "") ~= "" and home .. "/.config" or nil
    end
    return base and base .. "/moonlatch/policy.lua"
end

local SYSTEM_POLICY = "/etc/moonlatch/policy.lua"

local KWARGS = "AIRFLOW__SECRETS__BACKEND_KWARGS"
local PER_KEY = "AIRFLOW__SECRETS__BACKEND_KWARG__"

local function has_kwargs(app, env, getenv)
    if (getenv(KWARGS) or "") ~= "" then return true end
    for name in pairs(env) do
        if #name > #PER_KEY and name:sub(1, #PER_KEY) == PER_KEY then return true end
    end
    return app.system.has_variables(PER_KEY)
end

-- The order of the manual; never a file found by walking up from here: a cloned
-- repository must not decide where secrets come from.
function M.choose(args, app, env, getenv)
    local from_env = getenv("MOONLATCH_POLICY")
    local user = user_policy(getenv)
    if args.policy then return named(args.policy) end
    if (from_env or "") ~= "" then return named(from_env) end
    if has_kwargs(app, env, getenv) then return named("airflow") end
    for _, path in ipairs { user or SYSTEM_POLICY, SYSTEM_POLICY } do
        if readable(app, path) then return { file = path } end
    end
    error { code = "policy", outcome = "policy", exit = 7,
            text = "no policy: looked at --policy, MOONLATCH_POLICY, "
                .. KWARGS .. ", " .. PER_KEY .. "*, "
                .. (user and user .. ", " or "") .. SYSTEM_POLICY,
            try = "moonlatch ... --policy FILE (or --policy airflow)" }
end

local function level_of(verbose)
    if verbose >= 2 then return "debug" end
    return verbose == 1 and "info" or "warn"
end

local function budget_dir(args, getenv)
    local from_env = getenv("MOONLATCH_BUDGET_DIR")
    return args.budget_dir or ((from_env or "") ~= "" and from_env or nil)
end

-- Opens the resolver; raises what went wrong.
--   s.resolver, s.policy, s.opts(extra) -> options of one call
function M.open(args, app)
    local env = env_of_files(app, args.env_files)
    local function getenv(name)
        if env[name] ~= nil then return env[name] end
        return app.getenv(name)
    end
    local policy = M.choose(args, app, env, getenv)
    app.report.built_in = policy.name
    local began_ms = app.system.mono_ms()
    local s = { policy = policy }
    s.resolver = assert(app.moonlatch.open {
        policy_file = policy.file, policy_text = policy.text, policy_name = policy.name,
        env = env, allow_exec = args.allow_exec, deadline_ms = args.timeout_ms, cache_ttl_ms = -1,
        budget_dir = budget_dir(args, getenv),
        log = app.report.log, log_level = level_of(args.verbose or 0) })
    local context = flags.table_of(args.context)

    -- Each call gets what is left of --timeout; waiting for a person does not count.
    local paused_ms = 0
    function s.opts(extra)
        local opts = extra or {}
        opts.context, opts.refresh = context, args.refresh
        if args.timeout_ms then
            local spent = app.system.mono_ms() - began_ms - paused_ms
            opts.timeout_ms = math.max(1, args.timeout_ms - spent)
        end
        return opts
    end

    function s.waiting(ask, ...)
        local from = app.system.mono_ms()
        local answer, problem = ask(...)
        paused_ms = paused_ms + app.system.mono_ms() - from
        return answer, problem
    end

    return s
end

-- The steps of a name's plan, as explain --json has them; nil when there are none.
function M.steps(s, name)
    local plan = s.resolver:explain(name, s.opts { plan_only = true, json = true })
    if not plan then return nil end
    local ok, data = pcall(require("cjson").decode, plan.text)
    local steps = ok and type(data) == "table" and data.steps
    if type(steps) ~= "table" or type(steps[1]) ~= "table" then return nil end
    return steps
end

-- Where a write would go: "source:key", from the plan; nil when it cannot be told.
function M.target(s, name)
    for _, step in ipairs(M.steps(s, name) or {}) do
        if step.writable then
            return ("%s:%s"):format(step.source, step.key)
        end
    end
    return nil
end

return M
