"""recorded.py - HashiCorp Vault's KV version 2 and AWS Secrets Manager, as their public
documentation has them, over TLS on loopback; and answers that mean no good.

    with recorded.Server(certificate, key) as server: ... server.url, server.requests

Signature Version 4 is checked here by an implementation of its own."""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.parse

ROOT_TOKEN = "canary-root-token"
ROLE_ID, SECRET_ID = "the-role", "canary-secret-id"
KEY_ID, KEY = "AKIDEXAMPLE", "canary-wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-central-1"


def make_certificate(directory):
    """A self-signed certificate for 127.0.0.1 and localhost: (certificate, key)."""
    certificate, key = f"{directory}/server.pem", f"{directory}/server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=recorded",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out",
         certificate], check=True, capture_output=True, timeout=60)
    return certificate, key


def sign(headers, body, authorization):
    """The signature that the request should have, from its own words."""
    fields = dict(part.strip().split("=", 1) for part in
                  authorization.removeprefix("AWS4-HMAC-SHA256 ").split(","))
    names = fields["SignedHeaders"].split(";")
    scope = fields["Credential"].split("/", 1)[1]
    canonical = "\n".join(
        ["POST", "/", "", *(f"{n}:{headers[n].strip()}" for n in names), "",
         fields["SignedHeaders"], hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + KEY.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return fields, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        self.route = urllib.parse.unquote(url.path)
        self.query = dict(urllib.parse.parse_qsl(url.query))
        self.server.owner.requests.append(
            (self.command, self.path, dict(self.headers), self.body))
        try:
            if self.route.startswith("/v1/"):
                self.vault()
            elif self.route.startswith("/items/"):
                self.item(self.route[7:])
            elif self.route.startswith("/bad/"):
                getattr(self, "bad_" + self.route[5:])()
            else:
                self.aws()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def item(self, name):
        if name == "none":
            return self.answer(404)
        return self.answer(200, {"value": f"value of {name}", "version": 7})

    # ---- Vault ----

    def vault(self):
        owner = self.server.owner
        if self.route == "/v1/auth/approle/login" and self.command == "POST":
            given = json.loads(self.body)
            if (given["role_id"], given["secret_id"]) != (ROLE_ID, SECRET_ID):
                return self.answer(400, {"errors": ["invalid role or secret ID"]})
            owner.logins += 1
            owner.token = f"canary-token-{owner.logins}"
            return self.answer(200, {"auth": {
                "client_token": owner.token, "lease_duration": 3600}})
        token = self.headers.get("X-Vault-Token")
        if token not in (ROOT_TOKEN, owner.token):
            return self.answer(403, {"errors": [
                "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})
        if owner.vault_status:
            return self.answer(owner.vault_status, {"errors": ["scripted"]},
                               [("Retry-After", "7"), ("Location", "/v1/elsewhere")])
        _, _, mount, what, *rest = self.route.split("/")
        path = "/".join(rest)
        if mount != "secret":
            return self.answer(404, {"errors": [
                f'no handler for route "{mount}/{what}". route entry not found.']})
        if what == "metadata" and self.query.get("list") == "true":
            below = {k[len(path):].split("/")[0] + ("/" if "/" in k[len(path):] else "")
                     for k in owner.vault if k.startswith(path)}
            if not below:
                return self.answer(404, {"errors": []})
            return self.answer(200, {"data": {"keys": sorted(below)}})
        if path.startswith("locked/"):
            return self.answer(403, {"errors": ["1 error occurred:\n\t* permission denied"]})
        versions = owner.vault.get(path)
        n = int(self.query.get("version", len(versions or ())))
        if not versions or n > len(versions):
            return self.answer(404, {"errors": []})
        metadata = {"version": n, "deletion_time": "", "destroyed": False}
        data = versions[n - 1]
        if data is None:
            metadata["deletion_time"] = "2026-01-01T00:00:00Z"
            return self.answer(404, {"data": {"data": None, "metadata": metadata}})
        return self.answer(200, {"data": {"data": data, "metadata": metadata}})

    # ---- AWS Secrets Manager ----

    def aws_error(self, status, word, message):
        self.answer(status, {"__type": word, "Message": message})

    def aws(self):
        owner = self.server.owner
        headers = {k.lower(): v for k, v in self.headers.items()}
        fields, signature = sign(headers, self.body, headers.get("authorization", ""))
        scope = f"{KEY_ID}/{headers['x-amz-date'][:8]}/{REGION}/secretsmanager/aws4_request"
        if fields["Credential"] != scope:
            return self.aws_error(400, "UnrecognizedClientException", "unknown key id")
        if not {"host", "x-amz-date", "x-amz-target"} <= set(
                fields["SignedHeaders"].split(";")) or fields["Signature"] != signature:
            return self.aws_error(400, "InvalidSignatureException",
                                  "The request signature we calculated does not match")
        if owner.aws_session and headers.get("x-amz-security-token") != owner.aws_session:
            return self.aws_error(400, "ExpiredTokenException", "expired")
        action, asked = headers["x-amz-target"].split(".")[1], json.loads(self.body)
        if action == "ListSecrets":
            names = sorted(owner.aws_secrets)
            at, size = int(asked.get("NextToken", 0)), min(asked["MaxResults"], 3)
            more = at + size < len(names)
            return self.answer(200, {"SecretList": [{"Name": n} for n in names[at:at + size]],
                                     **({"NextToken": str(at + size)} if more else {})})
        name = asked["SecretId"]
        if name in owner.aws_errors:
            return self.aws_error(*owner.aws_errors[name])
        versions = owner.aws_secrets.get(name)
        if not versions:
            return self.aws_error(400, "ResourceNotFoundException",
                                  "Secrets Manager can't find the specified secret.")
        stage = asked.get("VersionStage") or asked.get("VersionId") or "AWSCURRENT"
        value = versions.get(stage)
        if value is None:
            return self.aws_error(400, "ResourceNotFoundException", "no such version")
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        return self.answer(200, {"Name": name, "VersionId": "v" * 36, kind: value})

    # ---- answers that mean no good ----

    def bad_redirect(self):
        self.answer(302, b"", [("Location", "/bad/followed")])

    def bad_followed(self):
        self.answer(200, b"followed")

    def bad_big(self):
        self.answer(200, b"x" * 2_000_000)

    def bad_slow(self):
        time.sleep(20)

    def bad_trickle(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(200):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.1)

    def bad_flaky(self):
        owner = self.server.owner
        owner.flaky += 1
        status = 200 if owner.flaky % 3 == 0 else 503
        self.answer(status, b"third time", [("Retry-After", "0")])

    def bad_headers(self):
        self.answer(200, b"{}", [
            ("X-Plain", "plain"), ("X-Plain", "twice"), ("Set-Cookie", "sid=canary-cookie"),
            ("X-Auth-Token", "canary-header-token")])

    def bad_folded(self):
        self.answer(200, b"{}", [("X-Plain", "plain"), (" Retry-After", "7")])

    def bad_long(self):
        self.answer(200, b"{}", [("Retry-After", "7" + 40 * " " + "x"),
                                 ("Retry-After-Ms", "7000".zfill(33))])

    def bad_soon(self):
        self.answer(200, b"{}", [("Retry-After", "7")])

    def bad_html(self):
        self.answer(404, b"<html>canary-body: not here</html>")

    def bad_echo(self):
        self.answer(200, {"headers": dict(self.headers), "path": self.path,
                          "body": self.body.decode()})


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that do not trust us, or go away, are what tests are about


class Server:
    def __init__(self, certificate, key):
        self.requests, self.logins, self.token, self.flaky = [], 0, None, 0
        self.vault, self.vault_status = {}, None
        self.aws_secrets, self.aws_errors, self.aws_session = {}, {}, None
        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.http.owner = self
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.http.socket = context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.http.shutdown()
        self.thread.join()
        self.http.socket.close()
