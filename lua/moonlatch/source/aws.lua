-- moonlatch.source.aws - AWS Secrets Manager as a source; requests are signed with
-- Signature Version 4.
--
-- Written with what every policy has; copy it into a policy of yours to change it.
--
--   local aws = require "moonlatch.source.aws"
--   local sm = aws {
--     region            = "eu-central-1",
--     access_key_id     = ml.env "AWS_ACCESS_KEY_ID",
--     secret_access_key = ml.env_secret "AWS_SECRET_ACCESS_KEY",
--     session_token     = nil,       -- ml.env_secret "AWS_SESSION_TOKEN"
--     url = nil, alias = "aws", ca_file = nil, timeout_ms = 10000, retries = 2,
--   }
--
-- A key is a secret's name or ARN.  A version is a version id (32 bytes or more) or a
-- staging label, such as AWSPREVIOUS.
local ml = require "moonlatch.policy"

local OPTIONS = {
  region = "string", access_key_id = "string", secret_access_key = "secret",
  session_token = "secret", url = "string", alias = "string", ca_file = "string",
  timeout_ms = "number", retries = "number",
}
local NEEDED = { "region", "access_key_id", "secret_access_key" }
local SERVICE = "secretsmanager"
local MAX_PAGES = 1000
local PAGE_SIZE = 100

-- What the service's error words mean; others go by the status.
local OUTCOMES = {
  ResourceNotFoundException = "missing",
  AccessDeniedException = "forbidden",
  DecryptionFailure = "forbidden",
  UnrecognizedClientException = "unauthenticated",
  InvalidClientTokenId = "unauthenticated",
  InvalidSignatureException = "unauthenticated",
  IncompleteSignature = "unauthenticated",
  MissingAuthenticationToken = "unauthenticated",
  MissingAuthenticationTokenException = "unauthenticated",
  ExpiredTokenException = "unauthenticated",
  ExpiredToken = "unauthenticated",
  SignatureDoesNotMatch = "unauthenticated",
  ThrottlingException = "throttled",
  Throttling = "throttled",
  TooManyRequestsException = "throttled",
  RequestLimitExceeded = "throttled",
  InternalServiceError = "unavailable",
  InternalServiceErrorException = "unavailable",
  ServiceUnavailable = "unavailable",
}

local function check_options(o)
  for name, value in pairs(o) do
    local want = OPTIONS[name]
    if not want then error("aws: there is no option '" .. tostring(name) .. "'", 3) end
    if want == "secret" and type(value) ~= "userdata" then
      error(("aws: the option '%s' needs ml.env_secret \"NAME\""):format(name), 3)
    elseif want ~= "secret" and type(value) ~= want then
      error(("aws: the option '%s' must be a %s"):format(name, want), 3)
    end
  end
  for _, name in ipairs(NEEDED) do
    if o[name] == nil then error(("aws: the option '%s' is needed"):format(name), 3) end
  end
end

-- ---- Signature Version 4 ----
--
--   canonical request   method, path, query, headers, names of headers, hash of the body
--   string to sign      "AWS4-HMAC-SHA256", time, scope, hash of the above
--   signature           HMAC chain over date, region, service, "aws4_request", then it

-- headers: { name = value }, lower-case -> the lines, and "name;name"
local function canonical_headers(headers)
  local names, lines = {}, {}
  for name in pairs(headers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    lines[#lines + 1] = name .. ":"
    lines[#lines + 1] = headers[name]
    lines[#lines + 1] = "\n"
  end
  return lines, table.concat(names, ";")
end

-- Returns the Authorization header.  request: { method, path, query, headers, body }.
local function signature(o, request, now)
  local time = ml.utc(now, "%Y%m%dT%H%M%SZ")
  local scope = ("%s/%s/%s/aws4_request"):format(ml.utc(now, "%Y%m%d"), o.region, SERVICE)
  local lines, names = canonical_headers(request.headers)
  local canonical = { request.method, "\n", request.path, "\n", request.query, "\n" }
  for _, part in ipairs(lines) do canonical[#canonical + 1] = part end
  for _, part in ipairs { "\n", names, "\n", ml.hex(ml.sha256(request.body)) } do
    canonical[#canonical + 1] = part
  end
  local to_sign = ml.join { "AWS4-HMAC-SHA256\n", time, "\n", scope, "\n",
    ml.hex(ml.sha256(ml.join(canonical))) }
  local key = ml.secret_text { "AWS4", o.secret_access_key }
  for part in scope:gmatch("[^/]+") do key = ml.hmac_sha256(key, part) end
  return ml.secret_text {
    ("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature="):format(
      o.access_key_id, scope, names),
    ml.hex(ml.hmac_sha256(key, to_sign)),
  }
end

-- ---- requests ----

local function ask(o, action, parameters)
  local now, body = ml.now(), ml.json.encode(parameters)
  local headers = {
    ["content-type"] = "application/x-amz-json-1.1", host = o.url:match("^%a+://([^/]+)"),
    ["x-amz-date"] = ml.utc(now, "%Y%m%dT%H%M%SZ"),
    ["x-amz-target"] = "secretsmanager." .. action, ["x-amz-security-token"] = o.session_token,
  }
  local authorization = signature(o, {
    method = "POST", path = "/", query = "", headers = headers, body = body,
  }, now)
  headers.host = nil -- it is sent as the url has it
  headers.Authorization = authorization
  return ml.http {
    method = "POST", url = o.url .. "/", headers = headers, body = body,
    idempotent = true, retries = o.retries or 2, timeout_ms = o.timeout_ms, ca_file = o.ca_file,
  }
end

local function text_at(answer, pointer)
  local fine, text = pcall(ml.json.text, answer.body, pointer)
  return fine and text or nil
end

local function failure(answer)
  local word = (text_at(answer, "/__type") or ""):match("([%w]+)$") or ""
  local said = text_at(answer, "/message") or text_at(answer, "/Message") or ""
  local text = ("HTTP %d %s%s"):format(answer.status, word, said ~= "" and ": " .. said or "")
  local outcome = OUTCOMES[word]
  if word == "InvalidRequestException" and said:find("marked for deletion", 1, true)
    or said:find("marked deleted", 1, true) then
    outcome = "disabled"
  end
  if not outcome then
    outcome = answer.status == 429 and "throttled" or answer.status >= 500 and "unavailable"
      or answer.status == 403 and "forbidden" or answer.status == 401 and "unauthenticated"
      or "invalid"
  end
  return nil, outcome, text, answer.retry_after_ms
end

local function get(o, key, ctx)
  local v = ctx.version
  local answer, outcome, text, retry_after_ms = ask(o, "GetSecretValue", {
    SecretId = key,
    VersionId = v and #v >= 32 and v or nil, VersionStage = v and #v < 32 and v or nil,
  })
  if not answer then return nil, outcome, text, retry_after_ms end
  if answer.status ~= 200 then return failure(answer) end
  local value = ml.json.field(answer.body, "/SecretString")
  local binary = not value and ml.json.field(answer.body, "/SecretBinary")
  if binary then value = ml.base64_decode(binary) end
  if not value then return nil, "invalid", "the answer has no value that can be read" end
  return value, { version = text_at(answer, "/VersionId") }
end

local function list(o)
  local keys, token = {}, nil
  for _ = 1, MAX_PAGES do
    local answer, outcome, text, retry_after_ms =
      ask(o, "ListSecrets", { MaxResults = PAGE_SIZE, NextToken = token })
    if not answer then return nil, outcome, text, retry_after_ms end
    if answer.status ~= 200 then return failure(answer) end
    for i = 0, PAGE_SIZE - 1 do
      local name = ml.json.text(answer.body, ("/SecretList/%d/Name"):format(i))
      if not name then break end
      keys[#keys + 1] = name
    end
    token = ml.json.field(answer.body, "/NextToken")
    if not token then return keys end
  end
  return nil, "invalid", "there are too many pages"
end

local function check(key)
  if #key > 2048 then return "a name has at most 512 characters, an ARN 2048" end
  if key:find("[^%w/_+=.@:!-]") then return "letters, digits and /_+=.@:!- only" end
end

return function(o)
  if type(o) ~= "table" then error("aws: a table of options is needed", 2) end
  check_options(o)
  o.url = (o.url or ("https://%s.%s.amazonaws.com"):format(SERVICE, o.region)):gsub("/+$", "")
  return ml.source {
    alias = o.alias or "aws", label = o.url, check = check,
    get = function(key, ctx) return get(o, key, ctx) end,
    list = function() return list(o) end,
  }
end
