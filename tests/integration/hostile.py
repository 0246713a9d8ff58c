"""A service that misbehaves, over real TLS on a free port of loopback.

    hostile.py CA_CERTIFICATE CA_KEY RECORD TENANT

The secret's name says how: see CHALLENGES, SHAPES and `silent`.  Everything that arrives
is appended to RECORD (method, path, Authorization, body), so that a test can say what was
never sent.  Prints its port when it is ready."""

import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

CA, CA_KEY, RECORD, TENANT = sys.argv[1:5]
LOCK = threading.Lock()

# Each would make a careless client show a token, or its credential, to the wrong one.
# PORT is ours.
CHALLENGES = {
    "management": 'authorization="https://localhost:PORT/T", resource="https://management.azure.com"',
    "evil": 'authorization="https://localhost:PORT/T", resource="https://evil.example"',
    "suffix": 'authorization="https://localhost:PORT/T", resource="https://ocalhost"',
    "above": 'authorization="https://localhost:PORT/T", resource="https://x.localhost"',
    "userinfo": 'authorization="https://localhost:PORT/T", resource="https://localhost@evil.example"',
    "userinfo-back": 'authorization="https://localhost:PORT/T", resource="https://evil.example@localhost"',
    "relative": 'authorization="https://localhost:PORT/T", resource="localhost"',
    "no-host": 'authorization="https://localhost:PORT/T", resource="https://"',
    "plain-http": 'authorization="https://localhost:PORT/T", resource="http://localhost"',
    "query": 'authorization="https://localhost:PORT/T", resource="https://localhost?x=evil"',
    "fragment": 'authorization="https://localhost:PORT/T", resource="https://localhost#evil.example"',
    "backslash": 'authorization="https://localhost:PORT/T", resource="https://evil.example\\\\@localhost"',
    "blank": 'authorization="https://localhost:PORT/T", resource="https://localhost evil.example"',
    "scope": 'authorization="https://localhost:PORT/T", scope="https://evil.example/.default"',
    "empty": 'authorization="https://localhost:PORT/T", resource=""',
    "none": 'authorization="https://localhost:PORT/T"',
    "open-quote": 'authorization="https://localhost:PORT/T", resource="https://localhost',
    "other-tenant": 'authorization="https://localhost:PORT/99999999-9999-9999-9999-999999999999", resource="https://localhost"',
}

SHAPES = {
    "basic": "Basic realm=x",
    "nothing": None,
    "not-a-scheme": ", , =,",
}

# The audience is right, the authority is ours: the credential must not follow it.
LURE = 'Bearer authorization="https://localhost:PORT/TENANT", resource="https://localhost"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def note(self):
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode(errors="replace")
        line = json.dumps([self.command, self.path,
                           self.headers.get("Authorization", ""), body,
                           self.headers.get("traceparent", "")])
        with LOCK, open(RECORD, "a", encoding="utf-8") as f:
            f.write(line + "\n")

    def answer(self, status, headers, body=b"{}"):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def unauthorized(self, value):
        if value is None:
            return self.answer(401, {})
        value = value.replace("PORT", str(self.server.server_port))
        self.answer(401, {"WWW-Authenticate": value.replace("TENANT", TENANT)})

    def serve(self):
        self.note()
        name = self.path.split("?")[0].split("/")[2:3]
        name = name[0] if name else ""
        if name in CHALLENGES:
            return self.unauthorized("Bearer " + CHALLENGES[name].replace("/T", "/" + TENANT))
        if name in SHAPES:
            return self.unauthorized(SHAPES[name])
        if name == "silent":
            return time.sleep(60)
        if name == "hang-up":
            self.close_connection = True
            return self.connection.close()
        if name == "slow-body":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            for _ in range(600):
                self.wfile.write(b" ")
                time.sleep(0.1)
        return self.unauthorized(LURE)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = serve

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, context):
        super().__init__(address, Handler)
        self.context = context

    def finish_request(self, request, client_address):
        """The handshake belongs to the connection's thread, so that none blocks all."""
        request.settimeout(60)
        with self.context.wrap_socket(request, server_side=True) as tls:
            tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().finish_request(tls, client_address)

    def handle_error(self, *_):
        pass  # clients that hang up are the point


def make_certificate():
    here = os.path.dirname(RECORD)
    cert, key = os.path.join(here, "leaf.pem"), os.path.join(here, "leaf-key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-CA", CA, "-CAkey", CA_KEY, "-newkey", "ec",
         "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key,
         "-out", cert, "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1", "-addext",
         "basicConstraints=critical,CA:FALSE"],
        check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate())
    open(RECORD, "w", encoding="utf-8").close()
    server = Server(("127.0.0.1", 0), context)
    print(server.server_port, flush=True)
    threading.Timer(300, server.shutdown).start()  # never outlives a test run
    server.serve_forever()


main()
