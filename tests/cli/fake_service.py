"""fake_service.py - one HTTPS port that answers as no honest Key Vault would.

Token endpoint and vault at once.  What is wrong is chosen by the name asked for
(/secrets/html, /secrets/deep ...) or by the client id that asks for a token.
Usage: fake_service.py CERT.pem KEY.pem   (prints its port, serves until killed)
"""
import http.server
import json
import ssl
import sys
import threading
import urllib.parse

TOKEN = "canary-token-4e1c"
TENANT = "11111111-1111-1111-1111-111111111111"


def error(code, inner=None, message="no"):
    body = {"error": {"code": code, "message": message}}
    if inner:
        body["error"]["innererror"] = {"code": inner}
    return json.dumps(body).encode()


def secret(value):
    return json.dumps({"value": value, "id": "https://localhost/secrets/x/1",
                       "attributes": {"enabled": True}}).encode()


# name -> status, headers, body
ANSWERS = {
    "html": (200, {}, b"<html><body>Sign in to the hotel network</body></html>"),
    "text": (200, {}, b"canary-body-77 is not JSON"),
    "empty": (200, {}, b""),
    "cut-json": (200, {}, secret("canary-value-cut")[:40]),
    "no-value": (200, {}, b"{}"),
    "wrong-type": (200, {}, b'{"value": {"a": 1}, "id": 3}'),
    "big": (200, {}, b'{"value": "' + b"x" * (64 << 20) + b'"}'),
    "deep": (200, {}, b'{"value": ' + b"[" * 100000 + b"]" * 100000 + b"}"),
    "raw-bytes": (200, {}, b'{"value": "\xff\xfe", "id": "https://localhost/secrets/x/1"}'),
    "forbidden": (403, {}, error("Forbidden", "ForbiddenByRbac")),
    "firewall": (403, {}, error("Forbidden", "ForbiddenByFirewall")),
    "disabled": (403, {}, error("Forbidden", "SecretDisabled")),
    "throttled": (429, {"Retry-After": "1"}, error("Throttled")),
    "unavailable": (503, {}, error("ServiceUnavailable")),
    "moved": (302, {"Location": "https://localhost:1/secrets/x"}, b""),
}


# client id -> status, error, number, text
REFUSALS = {
    "expired-client": (401, "invalid_client", 7000222,
                       "The provided client secret keys for app are expired."),
    "lost-client": (400, "invalid_request", 90002,
                    "Tenant was not found. Check to make sure you have the correct one."),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, headers, body, cut=0):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:len(body) - cut])
        if cut:
            self.close_connection = True

    def do_POST(self):
        size = int(self.headers.get("Content-Length", 0))
        form = urllib.parse.parse_qs(self.rfile.read(size).decode())
        refusal = REFUSALS.get(form.get("client_id", [""])[0])
        if refusal:
            status, word, number, text = refusal
            body = json.dumps({"error": word, "error_codes": [number],
                               "error_description": f"AADSTS{number}: {text}"}).encode()
            return self.answer(status, {}, body)
        body = json.dumps({"token_type": "Bearer", "expires_in": 3599,
                           "access_token": TOKEN}).encode()
        return self.answer(200, {}, body)

    def challenge(self):
        authority = f"https://localhost:{self.server.server_port}/{TENANT}"
        value = f'Bearer authorization="{authority}", resource="https://localhost"'
        self.answer(401, {"WWW-Authenticate": value}, error("Unauthorized"))

    def do_GET(self):
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            return self.challenge()
        path = urllib.parse.urlsplit(self.path).path
        name = path.split("/")[2] if path.startswith("/secrets/") else ""
        if name == "cut-body":
            return self.answer(200, {}, secret("canary-value-cut"), cut=20)
        return self.answer(*ANSWERS.get(name, (404, {}, error("SecretNotFound"))))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that hang up are the point


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    threading.Timer(300, server.shutdown).start()  # never outlives a test run
    server.serve_forever()


main()
