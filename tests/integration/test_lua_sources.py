"""Sources that policies write in Lua, with the program and real exchanges: the shipped ones
against recorded protocols, and what servers may do that mean no good.

    test_lua_sources.py PROGRAM SOURCE_DIR

Credentials and values begin with "canary": none may be in a message, a log or a trace."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

import recorded

PROGRAM, SOURCE = sys.argv[1:3]
WAIT_S = 60
SYSTEM = "/etc/ssl/certs/ca-certificates.crt"

VAULT = """
local ml = require "moonlatch.policy"
local vault = require "moonlatch.source.vault"
local by_token = vault { url = ml.env "URL", token = ml.env_secret "VAULT_TOKEN_CANARY",
                         mount = ml.env("MOUNT", "secret"), retries = 0 }
local by_role = vault { url = ml.env "URL" .. "/", alias = "role", retries = 0,
                        approle = { role_id = "the-role", secret_id = ml.env_secret "SID" } }
return ml.policy {
  ml.rule "role/**" { strip = "role/", from = by_role },
  ml.rule "both/**" { strip = "both/", from = { by_token, ml.environment {} } },
  ml.rule "**" { from = by_token },
}
"""

AWS = """
local ml = require "moonlatch.policy"
local aws = require "moonlatch.source.aws"
local sm = aws { region = "eu-central-1", url = ml.env "URL", retries = 0,
                 access_key_id = ml.env("KEY_ID", "AKIDEXAMPLE"),
                 secret_access_key = ml.env_secret "AWS_CANARY",
                 session_token = ml.env("SESSION", "") ~= "" and ml.env_secret "SESSION" or nil }
return ml.policy { ml.rule "**" { from = sm } }
"""


def source(get, more=""):
    return f"""
local ml = require "moonlatch.policy"
local url = ml.env("URL", "")
local source = ml.source {{ alias = "mine", {more}
get = function(key, ctx)
{get}
end }}
return ml.policy {{ ml.rule "**" {{ from = source }} }}
"""


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="moonlatch-lua-sources-")
        cls.certificate, cls.key = recorded.make_certificate(cls.dir.name)

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def setUp(self):
        self.server = recorded.Server(self.certificate, self.key)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)

    def run_program(self, policy, *args, **env):
        path = os.path.join(self.dir.name, "policy.lua")
        with open(path, "w", encoding="utf-8") as f:
            f.write(policy.lstrip("\n"))
        env = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": self.certificate,
               "URL": self.server.url, "VAULT_TOKEN_CANARY": recorded.ROOT_TOKEN,
               "SID": recorded.SECRET_ID, "AWS_CANARY": recorded.KEY, "NO_COLOR": "1", **env}
        r = subprocess.run([PROGRAM, *args, "--policy", path], env=env, timeout=WAIT_S,
                           capture_output=True)
        self.assertNotIn(b"canary", r.stderr, "a secret in a message or a log")
        return r

    def get(self, policy, name, *args, **env):
        return self.run_program(policy, "get", name, "-vv", *args, **env)

    def found(self, policy, name, value, *args, **env):
        r = self.get(policy, name, *args, **env)
        self.assertEqual((r.returncode, r.stdout.decode()), (0, value), r.stderr.decode())
        return r

    def fails(self, policy, name, code, text, *args, **env):
        r = self.get(policy, name, *args, **env)
        self.assertEqual((r.returncode, r.stdout), (code, b""), r.stderr.decode())
        self.assertIn(text, r.stderr.decode())
        return r


class Vault(Case):
    def setUp(self):
        super().setUp()
        self.server.vault = {
            "app/db": [{"password": "canary-old"}, {"password": "canary-pw", "n": 1, "a/b": "~"}],
            "top": [{"x": "y"}], "gone": [None], "a b": [{"x": "blank"}],
            "locked/x": [{"x": "no"}],
        }

    def test_found(self):
        self.found(VAULT, "app/db#password", "canary-pw")
        self.found(VAULT, "app/db#n", "1")
        self.found(VAULT, "app/db#a/b", "~")
        self.found(VAULT, "a b#x", "blank")
        r = self.get(VAULT, "app/db")
        self.assertEqual(json.loads(r.stdout), self.server.vault["app/db"][1])

    def test_missing(self):
        self.fails(VAULT, "nothing", 3, "is missing")
        self.fails(VAULT, "gone", 3, "is missing")
        self.fails(VAULT, "app/db#nope", 3, "is missing")

    def test_no_absence(self):
        """A wrong mount, a refusal, an outage: never the next source's value."""
        for status, code, text in ((403, 4, "HTTP 403"), (429, 5, "HTTP 429"),
                                   (500, 5, "HTTP 500"), (503, 5, "HTTP 503: scripted"),
                                   (307, 5, "redirect"), (400, 1, "HTTP 400")):
            self.server.vault_status = status
            self.fails(VAULT, "both/X", code, text, X="from the environment")
        self.server.vault_status = None
        self.fails(VAULT, "both/X", 1, "no handler for route", X="y", MOUNT="other")
        self.fails(VAULT, "locked/x", 4, "permission denied")
        self.found(VAULT, "both/X", "from the environment", X="from the environment")
        self.doCleanups()  # the server is gone
        self.fails(VAULT, "both/X", 5, "cannot connect", X="y")

    def test_bad_token(self):
        self.fails(VAULT, "top", 6, "invalid token", VAULT_TOKEN_CANARY="canary-wrong")

    def test_approle(self):
        self.found(VAULT, "role/app/db#password", "canary-pw")
        self.assertEqual(self.server.logins, 1)
        self.fails(VAULT, "role/top", 6, "invalid role or secret ID", SID="canary-wrong")

    def test_login_is_kept(self):
        """list asks folder by folder, with one login."""
        r = self.run_program(VAULT, "list", "role/**")
        self.assertEqual(r.stdout.decode().split("\n")[:-1],
                         ["role/a b", "role/app/db", "role/gone", "role/locked/x", "role/top"])
        self.assertEqual(self.server.logins, 1)

    def test_versions(self):
        policy = VAULT.replace('ml.rule "**" { from', 'ml.rule "v/**" { map = function(req) '
                               'return by_token:key("app/db#password", "1") end }, '
                               'ml.rule "**" { from')
        self.found(policy, "v/x", "canary-old")

    def test_keys(self):
        for name in ("/x", "x/", "a//b", "a/../b", "#x"):
            self.fails(VAULT, name, 2, "cannot have the key")
        self.assertEqual(self.server.requests, [])

    def test_trace(self):
        r = self.run_program(VAULT, "explain", "role/app/db#password")
        text = r.stdout.decode()
        self.assertIn("/v1/auth/approle/login: 200", text)
        self.assertIn("/v1/secret/data/app/db: 200", text)
        self.assertNotIn("canary", text)


class Aws(Case):
    def setUp(self):
        super().setUp()
        self.server.aws_secrets = {
            "prod/db": {"AWSCURRENT": "canary \u20ac", "AWSPREVIOUS": "canary-before"},
            "bin": {"AWSCURRENT": b"\0\xff\n"}, **{f"n{i}": {"AWSCURRENT": "x"} for i in range(5)},
        }

    def test_found(self):
        self.found(AWS, "prod/db", "canary \u20ac")
        r = self.get(AWS, "bin")
        self.assertEqual(r.stdout, b"\0\xff\n")

    def test_session_token(self):
        self.server.aws_session = "canary-session"
        self.found(AWS, "prod/db", "canary \u20ac", SESSION="canary-session")
        self.fails(AWS, "prod/db", 6, "ExpiredTokenException", SESSION="canary-other")

    def test_list(self):
        r = self.run_program(AWS, "list")
        self.assertEqual(r.stdout.decode().split(),
                         ["bin", "n0", "n1", "n2", "n3", "n4", "prod/db"])

    def test_versions(self):
        policy = AWS.replace('ml.rule "**"', 'ml.rule "old/**" { map = function(req) return '
                             'sm:key("prod/db", "AWSPREVIOUS") end }, ml.rule "**"')
        self.found(policy, "old/x", "canary-before")

    def test_outcomes(self):
        self.server.aws_errors = {
            "deleted": (400, "InvalidRequestException", "You can't perform this operation on "
                        "the secret because it was marked for deletion."),
            "denied": (400, "AccessDeniedException", "not authorized to perform"),
            "slow-down": (400, "ThrottlingException", "Rate exceeded"),
            "down": (500, "InternalServiceError", "oops"),
            "odd": (400, "InvalidParameterException", "odd"),
        }
        self.fails(AWS, "nothing", 3, "is missing")
        self.fails(AWS, "deleted", 4, "marked for deletion")
        self.fails(AWS, "denied", 4, "AccessDeniedException")
        self.fails(AWS, "slow-down", 5, "Rate exceeded")
        self.fails(AWS, "down", 5, "HTTP 500 InternalServiceError")
        self.fails(AWS, "odd", 1, "InvalidParameterException")
        self.fails(AWS, "prod/db", 6, "InvalidSignatureException", AWS_CANARY="canary-wrong")
        self.fails(AWS, "prod/db", 6, "UnrecognizedClientException", KEY_ID="AKIDOTHER")


class Http(Case):
    def test_secrets_stay(self):
        """Header, body and path carry secrets that no log, trace or message shows."""
        policy = source("""
          local token = ml.env_secret "SID"
          local r, outcome, text = ml.http {
            method = "POST", url = { url .. "/bad/echo?a=", ml.url_encode(token) },
            headers = { Authorization = { "Bearer ", token }, ["X-Empty"] = "" },
            body = ml.json.encode { password = token } }
          if not r then return nil, outcome, text end
          return ml.json.field(r.body, "/" .. key)""")
        self.found(policy, "headers/Authorization", "Bearer canary-secret-id")
        self.found(policy, "headers/X-Empty", "")
        self.found(policy, "path", "/bad/echo?a=canary-secret-id")
        self.found(policy, "body", '{"password":"canary-secret-id"}')
        r = self.run_program(policy, "explain", "path")
        self.assertNotIn(b"canary", r.stdout)
        self.assertIn(f"POST {self.server.url}: 200".encode(), r.stdout)
        names = {name.lower() for name in self.server.requests[0][2]}
        self.assertEqual(names, {"host", "user-agent", "authorization", "x-empty",
                                 "content-length"})

    def test_answer_headers(self):
        policy = source("""
          local r = ml.http { url = url .. "/bad/headers" }
          local h = r.headers
          return table.concat({ h["x-plain"], tostring(h["set-cookie"]),
            tostring(h["x-auth-token"]), tostring(r.body) }, ", ")""")
        self.found(policy, "x", "plain, secret (hidden), secret (hidden), secret (hidden)")

    def test_retry_after(self):
        policy = source("""
          local r = ml.http { url = url .. "/bad/" .. key }
          return ("%s %s"):format(r.retry_after_ms, r.headers["retry-after"])""")
        self.found(policy, "soon", "7000 7")
        # A line that begins with a blank is no header of its own, here and there.
        self.found(policy, "folded", "nil nil")
        # Too long to be one: no other time is made of its beginning.
        self.found(policy, "long", "nil 7" + 40 * " " + "x")

    def test_no_redirects(self):
        policy = source("""
          local r = ml.http { url = url .. "/bad/redirect" }
          return tostring(r.status) .. r.headers.location""")
        self.found(policy, "x", "302/bad/followed")
        self.assertEqual(len(self.server.requests), 1)

    def test_too_large(self):
        policy = source("""
          local r, outcome, text = ml.http { url = url .. "/bad/big", max_bytes = 1000000 }
          if not r then return nil, outcome, text end
          return r.body""")
        self.fails(policy, "x", 1, "answered with more than 1000000 bytes")
        larger = policy.replace("1000000", "2000000")
        self.assertEqual(len(self.get(larger, "x").stdout), 2000000)

    def test_time_limits(self):
        for path in ("slow", "trickle"):
            policy = source(f"""
              local r, outcome, text = ml.http {{ url = url .. "/bad/{path}", timeout_ms = 300 }}
              return nil, outcome, text""")
            began = time.monotonic()
            self.fails(policy, "x", 5, "no complete answer from 127.0.0.1")
            self.assertLess(time.monotonic() - began, 10)

    def test_deadline_of_the_call(self):
        """The call's deadline goes before timeout_ms, and a source that begins again and
        again after it comes to an end."""
        policy = source("""
          while true do ml.http { url = url .. "/bad/slow", timeout_ms = 60000 } end""")
        began = time.monotonic()
        self.fails(policy, "x", 7, "ran too long", "--timeout", "1s")
        self.assertLess(time.monotonic() - began, 15)

    def test_retries(self):
        policy = source("""
          local r = ml.http { url = url .. "/bad/flaky", retries = 2 }
          return tostring(r.status)""")
        self.found(policy, "x", "200")
        self.assertEqual(len(self.server.requests), 3)
        self.found(policy.replace(", retries = 2", ""), "x", "503")
        self.assertEqual(len(self.server.requests), 4)

    def test_not_trusted(self):
        policy = source("""
          local r, outcome, text = ml.http { url = url .. "/bad/echo" }
          return nil, outcome, text""")
        self.fails(policy, "x", 5, "is not trusted", SSL_CERT_FILE=SYSTEM)

    def test_ca_file(self):
        policy = source(f"""
          local r, outcome, text = ml.http {{
            url = url .. "/bad/echo", ca_file = "{self.certificate}" }}
          if not r then return nil, outcome, text end
          return tostring(r.status)""")
        self.found(policy, "x", "200", SSL_CERT_FILE=SYSTEM)

    def test_plain_on_loopback(self):
        """http:// to this machine, and never through a proxy."""
        with recorded.Server(None, None) as plain:
            policy = source("""
              local r, outcome, text = ml.http { url = url .. "/bad/echo" }
              if not r then return nil, outcome, text end
              return tostring(r.status)""")
            self.found(policy, "x", "200", URL=plain.url, HTTP_PROXY="http://127.0.0.1:1",
                       http_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")

    def test_not_json(self):
        """A page instead of an answer is no absence."""
        policy = source("""
          local r = ml.http { url = url .. "/bad/html" }
          return ml.json.field(r.body, "/x") or nil, "missing" """)
        self.fails(policy, "x", 7, "policy.lua:7: get of the source mine failed: the text "
                   "is not JSON")

    def test_nowhere_else(self):
        """Not while the policy loads, not in map, and not where Lua cannot wait."""
        load = 'local ml = require "moonlatch.policy"\nml.http { url = "https://x/" }\n'
        self.fails(load, "x", 7, "policy.lua:2: ml.http works inside the functions of ml.source")
        in_map = """
local ml = require "moonlatch.policy"
return ml.policy { ml.rule "**" { map = function() ml.http { url = "https://x/" } end } }
"""
        self.fails(in_map, "x", 7, "ml.http works inside the functions of ml.source")
        in_sort = source("""
          table.sort({ 2, 1 }, function() ml.http { url = url } end)""")
        self.fails(in_sort, "x", 7, "cannot wait here")


class Readme(Case):
    """The example of lua/README.md does what it says."""

    def test_example(self):
        with open(os.path.join(SOURCE, "lua", "README.md"), encoding="utf-8") as f:
            blocks = [b.split("```")[0] for b in f.read().split("```lua\n")[1:]]
        policy = next(b for b in blocks if "ml.source {" in b)
        policy = policy.replace("https://inventory.example", self.server.url)
        r = self.found(policy, "a b", "value of a b", INVENTORY_TOKEN="canary-token")
        self.assertEqual(self.server.requests[0][2]["Authorization"], "Bearer canary-token")
        r = self.get(policy, "a b", "--json", INVENTORY_TOKEN="canary-token")
        self.assertEqual(json.loads(r.stdout)["version"], "7")
        self.fails(policy, "none", 3, "is missing", INVENTORY_TOKEN="canary-token")


class Exec(Case):
    POLICY = """
local ml = require "moonlatch.policy"
local program = require "moonlatch.source.exec"
local sh = program { argv = { "/bin/sh", "-c", ml.env "SCRIPT", "sh", "{key}" },
  env = { TOKEN = ml.env_secret "SID" }, stdin = ml.env_secret "SID",
  exits = { [3] = "missing" }, timeout_ms = 500, max_bytes = 1000 }
return ml.policy { ml.rule "**" { from = sh } }
"""

    def test_refused(self):
        r = self.fails(self.POLICY, "x", 7, "--allow-exec", SCRIPT="exit 0")
        self.assertIn(b"policy.lua:3: the source exec runs programs", r.stderr)

    def test_runs(self):
        def found(script, name, value):
            self.found(self.POLICY, name, value, "--allow-exec", SCRIPT=script)
        found('echo "$TOKEN $1"', "a b;c$(x)%1", "canary-secret-id a b;c$(x)%1")
        found("cat", "x", "canary-secret-id")
        found("env | cut -d= -f1 | sort | tr '\\n' ' '", "x", "PWD TOKEN ")

    def test_ends(self):
        def fails(script, code, text):
            self.fails(self.POLICY, "x", code, text, "--allow-exec", SCRIPT=script)
        fails("exit 3", 3, "is missing")
        fails("exit 4", 5, "ended with status 4")
        fails("sleep 60", 5, "did not end in time")
        fails("echo canary >&2; exit 9", 5, "status 9")
        fails("cat /dev/zero", 1, "wrote more than 1000 bytes")
        dash = self.POLICY.replace('"**" {', '"**" { prefix = "-",')
        self.fails(dash, "x", 2, "would be an option", "--allow-exec", SCRIPT="x")

    def test_needs_exec(self):
        policy = source('ml.exec { argv = { "/bin/true" } }')
        self.fails(policy, "x", 7, "exec = true only", "--allow-exec")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
