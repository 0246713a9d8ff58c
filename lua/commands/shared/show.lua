-- show: a secret's metadata as people and programs read it.
local json = require "moonlatch.commands.shared.json"
local text = require "moonlatch.commands.shared.text"

local M = {}

local function filled(value)
    if value ~= "" then return value end
    return nil
end

local function attributes_of(s)
    local a = s:attributes()
    return json.object {
        { "enabled", a.enabled }, { "managed", a.managed or nil },
        { "created", text.utc(a.created_s) }, { "updated", text.utc(a.updated_s) },
        { "not_before", text.utc(a.not_before_s) }, { "expires", text.utc(a.expires_s) },
        { "deleted", text.utc(a.deleted_s) },
        { "scheduled_purge", text.utc(a.scheduled_purge_s) },
        { "recoverable_days", a.recoverable_days } }
end

-- Pairs in order, for json.object; the caller may add more.
function M.metadata(s)
    return { { "name", filled(s:name()) }, { "source", filled(s:source()) },
             { "key", filled(s:key()) }, { "version", filled(s:version()) },
             { "content_type", filled(s:content_type()) }, { "tags", s:tags() },
             { "attributes", attributes_of(s) } }
end

-- A value as a pair: text as it is, other bytes as base64.
function M.value_pair(bytes)
    if utf8.len(bytes) then return { "value", bytes } end
    return { "value_base64", json.base64(bytes) }
end

function M.array(secrets)
    local items = {}
    for i, s in ipairs(secrets) do items[i] = json.object(M.metadata(s)) end
    return json.array(items)
end

-- The logical name; what no rule maps back keeps its key.
function M.name_of(s)
    return filled(s:name()) or s:key()
end

function M.place_of(s)
    return ("%s:%s"):format(s:source(), s:key())
end

-- "NAME is soft-deleted and ... (place)" and the secret's metadata; nil when it is not, or
-- when nobody can tell.
function M.deleted(s, name)
    local answer = s.resolver:get_deleted(name, s.opts())
    local gone = answer and answer.secrets[1]
    if not gone then return nil end
    local purge = text.utc(gone:attributes().scheduled_purge_s)
    return ("%s is soft-deleted%s (%s)"):format(name,
        purge and " and will be purged on " .. purge or "", M.place_of(gone)), gone
end

-- Metadata as JSON on stdout, or one sentence on stderr.
function M.result(app, args, s, sentence)
    if args.json then
        app.write(json.encode(json.object(M.metadata(s))) .. "\n")
    else
        app.report.note(sentence)
    end
    return 0
end

return M
