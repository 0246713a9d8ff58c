-- moonlatch_policy.lua - what editors with LuaLS show while a policy is written.
---@meta moonlatch.policy
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
---@field encode? boolean reversible, no two names alike; instead of replace, lower and upper
---@field prefix? string|string[] a ladder: one key each, in order
---@field suffix? string
---@field version? string every step asks for this version
---@field map? fun(req: moonlatch.Request): moonlatch.Step|moonlatch.Step[] instead of all of these
---@field inverse? fun(key: string, context: table<string, string>, source: moonlatch.Source): string|string[]|nil beside map, for list
---@field require? moonlatch.Require what the stored secret must be, else the outcome is invalid
---@field decode? moonlatch.Encoding|moonlatch.Encoding[]
---@field field? string|string[] JSON pointer "/user/password"; of a list the first that is there
---@field transform? fun(text: string): string Lua sees the bytes; explain says so
---@field on? table<moonlatch.Outcome, moonlatch.Action> missing is next, the rest stop
---@field default? string|moonlatch.Secret the answer when every step is missing
---@field ttl? number seconds that a value answers without asking; 0: not kept
---@field negative_ttl? number seconds that a missing is believed
---@field stale_ttl? number seconds; how old a value may be that stands in for an outage
---@field read_only? boolean|string or why: put, update, delete, recover, purge, restore are refused
---@field label? string what explain calls the rule

---@alias moonlatch.Encoding
---| "base64"
---| "base64url"
---| "hex"

---@class moonlatch.Require
---@field min_bytes? integer
---@field max_bytes? integer
---@field utf8? boolean
---@field json? boolean
---@field like? string|string[] "postgres://*": '*' is any bytes
---@field content_type? string|string[]
---@field tag? table<string, string|boolean> this value; true: any; false: no such tag
---@field not_expired? boolean
---@field valid_now? boolean neither expired nor not yet valid
---@field max_age_days? number
---@field check? fun(meta: table): boolean, string? anything else about its metadata

---What get, list, put and delete of ml.source are told.
---@class moonlatch.SourceContext
---@field version? string the version that is asked for
---@field content_type? string for put
---@field tags? table<string, string> for put
---@field deadline_ms integer what is left of the call's time
---@field memo moonlatch.Memo

---A memory of the source: at most 16 secrets, for a while.
---@class moonlatch.Memo
local Memo = {}

---@param name string
---@return moonlatch.Secret?
function Memo:get(name) end

---@param name string
---@param secret moonlatch.Secret
---@param ttl_s number
function Memo:put(name, secret, ttl_s) end

---@param name string
function Memo:drop(name) end

---What is kept under the name, or what make brings: secret, ttl_s.  Calls that ask
---meanwhile wait for it, and share its failure.
---@param name string
---@param make fun(): moonlatch.Secret?, number|moonlatch.Outcome, string?, integer?
---@return moonlatch.Secret?
---@return moonlatch.Outcome? outcome
---@return string? text
---@return integer? retry_after_ms
function Memo:once(name, make) end

---@alias moonlatch.Bytes string|moonlatch.Secret

---@class moonlatch.SourceOptions
---@field get fun(key: string, ctx: moonlatch.SourceContext): moonlatch.Bytes?, table|moonlatch.Outcome|nil, string?, integer? a value [, { version =, content_type =, tags = }]; or nil, outcome [, text [, retry_after_ms]]
---@field list? fun(ctx: moonlatch.SourceContext): (string|table)[]?, moonlatch.Outcome?, string?
---@field put? fun(key: string, value: moonlatch.Secret, ctx: moonlatch.SourceContext): boolean?, table|moonlatch.Outcome|nil, string?
---@field delete? fun(key: string, ctx: moonlatch.SourceContext): boolean?, moonlatch.Outcome?, string?
---@field check? fun(key: string): string? why the source cannot have this key
---@field exec? boolean it runs programs; the host must allow that
---@field alias? string
---@field label? string

---@class moonlatch.HttpRequest
---@field url string|moonlatch.Bytes[] https; http to this machine
---@field method? "GET"|"POST"|"PUT"|"PATCH"|"DELETE"
---@field headers? table<string, moonlatch.Bytes|moonlatch.Bytes[]>
---@field body? moonlatch.Bytes|moonlatch.Bytes[]
---@field timeout_ms? integer 10000
---@field ca_file? string trusted for this request instead
---@field max_bytes? integer of the answer's body; 1 MiB
---@field retries? integer after 408, 429, 5xx and no answer
---@field idempotent? boolean a POST or PATCH needs it for retries

---@class moonlatch.HttpAnswer
---@field status integer
---@field headers table<string, moonlatch.Bytes> names in lower case; credentials are secrets
---@field body moonlatch.Secret
---@field retry_after_ms? integer

---@class moonlatch.TeamOptions
---@field confine string|string[] patterns of the names that its rules may see
---@field file string below the directory of the policy
---@field sources? table<string, moonlatch.Source|table> what it sees as ml.given: a source, or { source, keys = {...} }
---@field env? string|string[] patterns of variables that ml.env and ml.env_secret open
---@field allow? string|string[] constructors that are closed to teams otherwise
---@field default_credential? boolean its Key Vaults may use the host's own identity

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

---@alias moonlatch.FakeAnswer string|{value: string, version?: string, content_type?: string, tags?: table<string, string>, delay_ms?: integer}|{outcome: moonlatch.Outcome, delay_ms?: integer, stale?: string}

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

---Variables of a .env file; a line that cannot be read is invalid, for its own only.
---@param o {path: string, optional?: boolean, alias?: string}
---@return moonlatch.Source
function ml.dotenv(o) end

---The whole file is one secret; without `key`, of every key.
---@param o {path: string, key?: string, trim_newline?: boolean, optional?: boolean, alias?: string}
---@return moonlatch.Source
function ml.file(o) end

---Files below a directory, as Kubernetes mounts secrets; keys are their names.
---@param o {path: string, trim_newline?: boolean, hidden?: boolean, optional?: boolean, alias?: string}
---@return moonlatch.Source
function ml.directory(o) end

---A .env, .json or .yaml file, as Airflow's LocalFilesystemBackend reads it.
---@param o {path: string, holds?: "variables"|"connections", optional?: boolean, alias?: string}
---@return moonlatch.Source
function ml.local_file(o) end

---What the program around the library answers: ml_add_source.
---@param o {name: string, alias?: string}
---@return moonlatch.Source
function ml.host_source(o) end

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

---Missing, without asking any source.
---@param pattern string|moonlatch.Pattern|(string|moonlatch.Pattern)[]
---@param reason? string
---@return moonlatch.Rule
function ml.missing(pattern, reason) end

---A Lua pattern that matches the whole name; captures are {1}, {2} ...
---@param text string
---@param o? {ignore_case?: boolean}
---@return moonlatch.Pattern
function ml.pattern(text, o) end

---A key for any name: reversible, no two names alike, readable where the name is plain.
---@param name string
---@param max? integer bytes, at most 127
---@return string
function ml.encode(name, max) end

---The name of a key that ml.encode made; nil and the reason for other keys.
---@param key string
---@return string? name
---@return string? reason
function ml.decode(key) end

---The rules of a file that another team owns, confined.
---@param name string
---@return fun(options: moonlatch.TeamOptions): moonlatch.Rule
function ml.team(name) end

---In the file of a team: the sources that it was given.
---@type table<string, moonlatch.Source>
ml.given = {}

---A source that is written in Lua.
---@param o moonlatch.SourceOptions
---@return moonlatch.Source
function ml.source(o) end

---One exchange, inside the functions of ml.source.  Without an answer: nil, outcome, text.
---@param o moonlatch.HttpRequest
---@return moonlatch.HttpAnswer?
---@return moonlatch.Outcome? outcome
---@return string? text
---@return integer? retry_after_ms
function ml.http(o) end

---A helper program, inside the functions of an ml.source with exec = true.
---@param o {argv: string[], env?: table<string, moonlatch.Bytes>, stdin?: moonlatch.Bytes, timeout_ms?: integer, max_bytes?: integer}
---@return {status: integer, output: moonlatch.Secret}?
---@return moonlatch.Outcome? outcome
---@return string? text
function ml.exec(o) end

---Unix seconds, inside the functions of ml.source.
---@return integer
function ml.now() end

---@param seconds integer
---@param format string %Y %m %d %H %M %S only
---@return string
function ml.utc(seconds, format) end

---JSON that may be secret.
---@class moonlatch.Json
---@field field fun(body: moonlatch.Bytes, pointer: string): moonlatch.Secret? what is there
---@field text fun(body: moonlatch.Bytes, pointer: string): string? the same, for what is no secret
---@field texts fun(body: moonlatch.Bytes, pointer: string): string[]? an array of strings
---@field encode fun(value: any): moonlatch.Bytes
---@field null any
ml.json = {}

---Joined; always a secret.
---@param parts moonlatch.Bytes[]
---@return moonlatch.Secret
function ml.secret_text(parts) end

---Joined; a secret if a part is one.
---@param parts moonlatch.Bytes[]
---@return moonlatch.Bytes
function ml.join(parts) end

---@param data moonlatch.Bytes
---@return moonlatch.Bytes hash 32 bytes
function ml.sha256(data) end

---@param key moonlatch.Bytes
---@param data moonlatch.Bytes
---@return moonlatch.Bytes mac 32 bytes
function ml.hmac_sha256(key, data) end

---@param data moonlatch.Bytes
---@return moonlatch.Bytes
function ml.hex(data) end

---@param data moonlatch.Bytes
---@return moonlatch.Bytes
function ml.base64(data) end

---@param text moonlatch.Bytes
---@return moonlatch.Bytes?
function ml.base64_decode(text) end

---@param text moonlatch.Bytes
---@return moonlatch.Bytes
function ml.url_encode(text) end

---Without the line end at its end.
---@param text moonlatch.Bytes
---@return moonlatch.Bytes
function ml.chomp(text) end

---Airflow's AzureKeyVaultBackend; options win over AIRFLOW__SECRETS__BACKEND_KWARGS.
---@param o? table<string, any>
---@return moonlatch.Rule
function ml.airflow(o) end

---What is expected of one name, for `policy test`.
---@param name string
---@return fun(options: moonlatch.CaseOptions): moonlatch.Case
function ml.case(name) end

---The first rule that matches a name decides about it.
---@param o {[integer]: moonlatch.Rule, tests?: moonlatch.Case[], examples?: (string|table)[], read_only?: boolean|string}
---@return moonlatch.Policy
function ml.policy(o) end

return ml
