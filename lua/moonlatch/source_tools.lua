-- source_tools.lua - what ml has for sources that are written in Lua.
--
-- Everything here takes text or secrets; what comes out is a secret (opaque) as soon as
-- one of the parts was.  A token so goes from the answer of a login into the header of the
-- next request without ever being a Lua string.
--
-- Inside the functions of ml.source only; these wait:
--   http { method = "GET", url =, headers = { Name = value }, body =, timeout_ms = 10000,
--          ca_file =, max_bytes = 1 MiB, retries = 0, idempotent = }
--        -> { status =, headers = {}, body = secret, retry_after_ms = }
--         | nil, outcome, text, retry_after_ms       no answer: return these as they are
--     url, headers and body: text, a secret, or a list of both ({ "Bearer ", token }); a
--     secret in the url stands behind a first piece "https://host/".  https only, and
--     http:// to this machine; redirects are not followed; the deadline of the call goes
--     before timeout_ms.  retries: how often more, after 408, 429, 5xx or no answer; a
--     POST or PATCH needs idempotent = true for that.  An answer's headers have lower-case
--     names; those that may carry a credential (cookies, tokens) are secrets.
--   exec { argv = { "/usr/bin/x", ... }, env = { NAME = value }, stdin =, timeout_ms =,
--          max_bytes = } -> { status =, output = secret } | nil, outcome, text
--     in sources with exec = true only; no shell, no PATH, no other variables, directory /,
--     stderr is dropped; at the end or the time limit its whole process group is killed
--   now() -> unix seconds
-- Anywhere:
--   json.field(body, "/a/b")    the string there, or any other value as it is written, as
--                               a secret; nil when nothing is there, or null; raises when
--                               body is no JSON at all
--   json.text(body, "/a/b")     the same as a plain string of at most 4 KiB: for what is
--                               no secret, such as an error code or a lease id
--   json.texts(body, "/a")      an array of strings, the same way
--   json.encode(value)          json.null is null
--   secret_text { "a", x, ... } joined, always a secret;  join { ... }  the same, a secret
--                               if a part is
--   sha256(x), hmac_sha256(key, x)                 32 raw bytes
--   hex(x), base64(x), base64_decode(x), url_encode(x)
--   chomp(x)                    without the line end at its end
--   utc(seconds, "%Y%m%dT%H%M%SZ")                 %Y %m %d %H %M %S only
local core = require "moonlatch.core"

local M = {}

local PLAIN = {
  "http", "exec", "now", "secret_text", "join", "sha256", "hmac_sha256", "hex", "base64",
  "base64_decode", "url_encode", "chomp", "utc",
}

-- Adds them to the constructors of one policy file.
function M.add(ml)
  for _, name in ipairs(PLAIN) do ml[name] = core[name] end
  ml.json = {
    field = core.json_field, text = core.json_text, texts = core.json_texts,
    encode = core.json_encode, null = core.null,
  }
end

return M
