---@meta moonlatch.policy
-- moonlatch_policy.lua - what editors with LuaLS show while a policy is written.
--
-- Nothing here runs.  In .luarc.json: { "workspace.library": ["DIR OF THIS FILE"] }

---A source: something that can be asked for a key.
---@class moonlatch.Source
local Source = {}

---A step of a plan, for `map`.
---@param key string what the source is asked for
---@param version? string pins a version; without it the latest is asked for
---@return moonlatch.Step
function Source:key(key, version) end

---@class moonlatch.Step
---@class moonlatch.Rule
---@class moonlatch.Policy
---@class moonlatch.Case
---@class moonlatch.Pattern
---@class moonlatch.Credential
---A value that Lua never sees: it can only be handed on.
---@class moonlatch.Secret

---@alias moonlatch.Outcome
---| "missing"
---| "disabled"
---| "forbidden"
---| "unauthenticated"
---| "throttled"
---| "unavailable"
---| "invalid"
---| "policy"

---@alias moonlatch.Action
---| "next" # ask the next step
---| "stop" # the outcome is the answer
---| "default" # the rule's default is the answer
---| "stale" # an older value, if there is one; for throttled and unavailable

---What a name asks for, as `map` sees it.
---@class moonlatch.Request
---@field name string
---@field leaf string the last segment
---@field segments string[]
---@field captures table<string|integer, string>
---@field context table<string, string>

---@class moonlatch.RuleOptions
---@field from? moonlatch.Source|moonlatch.Source[] asked in this order, for each key
---@field names? table<string, string> these names have these keys, no further mapping
---@field strip? string|string[] taken off the front; of a list the first that fits
---@field replace? table<string, string> all at once, longest first
---@field lower? boolean letters a-z
---@field upper? boolean letters A-Z
---@field prefix? string|string[] a ladder: one key each, in order
---@field suffix? string
---@field map? fun(req: moonlatch.Request): moonlatch.Step|moonlatch.Step[] instead of all of these
---@field on? table<moonlatch.Outcome, moonlatch.Action> missing is next, the rest stop
---@field default? string|moonlatch.Secret the answer when every step is missing
---@field label? string what explain calls the rule

---@class moonlatch.CaseOptions
---@field context? table<string, string>
---@field version? string
---@field plan? string|string[] "source:key" or "source:key@version", in order
---@field rule? string label of the rule that decides
---@field fakes? table<string, table<string, moonlatch.FakeAnswer>> by alias, then by key; "*" is any other
---@field timeout_ms? integer of the whole walk; delays are added up, nobody waits
---@field outcome? moonlatch.Outcome|"found"
---@field answer? string the value that is found
---@field from? string "source:key" of the step that answers

---@alias moonlatch.FakeAnswer string|{value: string, version?: string, content_type?: string, tags?: table<string, string>, delay_ms?: integer}|{outcome: moonlatch.Outcome, delay_ms?: integer}

---@class moonlatch.policy
local ml = {}

---A Key Vault.  Without a credential: AZURE_TENANT_ID, AZURE_CLIENT_ID and
---AZURE_CLIENT_SECRET of the environment.
---@param o {vault_url: string, credential?: moonlatch.Credential, api_version?: string, audience?: string, authority?: string, dns_suffix?: string, alias?: string, verify_challenge_resource?: boolean}
---@return moonlatch.Source
function ml.azure_key_vault(o) end

---@param o {tenant_id: string, client_id: string, client_secret: moonlatch.Secret}
---@return moonlatch.Credential
function ml.client_secret(o) end

---The process's variables (and those of --env-file); keys are their names.
---@param o? {alias?: string}
---@return moonlatch.Source
function ml.environment(o) end

---The text of a variable; an error when it is not set and there is no default.
---@param name string
---@param default? string
---@return string
function ml.env(name, default) end

---The value of a variable, hidden; an error when it is not set.
---@param name string
---@return moonlatch.Secret
function ml.env_secret(name) end

---`ml.rule "billing/**" { ... }`; also `ml.rule { names = { ... }, from = ... }`.
---@param pattern string|moonlatch.Pattern|(string|moonlatch.Pattern)[]
---@return fun(options: moonlatch.RuleOptions): moonlatch.Rule
---@overload fun(options: moonlatch.RuleOptions): moonlatch.Rule
function ml.rule(pattern) end

---Never answered, never listed.  Letters a-z count without case.
---@param pattern string|moonlatch.Pattern|(string|moonlatch.Pattern)[]
---@param reason? string
---@return moonlatch.Rule
function ml.deny(pattern, reason) end

---A Lua pattern that matches the whole name; captures are {1}, {2} ...
---@param text string
---@return moonlatch.Pattern
function ml.pattern(text) end

---Airflow's AzureKeyVaultBackend; options win over AIRFLOW__SECRETS__BACKEND_KWARGS.
---@param o? table<string, any>
---@return moonlatch.Rule
function ml.airflow(o) end

---What is expected of one name, for `policy test`.
---@param name string
---@return fun(options: moonlatch.CaseOptions): moonlatch.Case
function ml.case(name) end

---The first rule that matches a name decides about it.
---@param o {[integer]: moonlatch.Rule, tests?: moonlatch.Case[], examples?: (string|table)[]}
---@return moonlatch.Policy
function ml.policy(o) end

return ml
