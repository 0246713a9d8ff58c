"""Starts a dev vault on a free port, talks to it over TLS, stops it by its pid."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.parse

PROGRAM = os.environ["DEVVAULT"]
API = "7.5"
WAIT_S = 20


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def inner(self):
        return self.error.get("innererror", {}).get("code")


class Connection(http.client.HTTPSConnection):
    """Goes to 127.0.0.1 whatever the name: *.localhost does not resolve everywhere."""

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(sock, server_hostname=self.host)


class DevVault:
    def __init__(self, *flags):
        self.home = tempfile.mkdtemp(prefix="devvault-test-")
        env = dict(os.environ, TMPDIR=self.home)
        self.log = open(os.path.join(self.home, "log"), "w+b")
        try:
            self.process = subprocess.Popen(
                [PROGRAM, "-v", *flags],
                stdout=subprocess.PIPE,
                stderr=self.log,
                env=env,
            )
        except OSError:  # the program is missing
            self.log.close()
            shutil.rmtree(self.home)
            raise
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait(WAIT_S)
            text = self.log_text()
            self.stop()
            raise AssertionError("did not start: %d: %s" % (code, text))
        self.ready = json.loads(line)
        self.port = int(self.ready["vault_url"].rsplit(":", 1)[1])
        self.context = ssl.create_default_context(cafile=self.ready["ca_file"])
        self.cached_token = None

    def log_text(self):
        self.log.flush()
        with open(self.log.name, "rb") as f:
            return f.read().decode(errors="replace")

    def end(self, number=signal.SIGTERM):
        """Sends a signal and answers the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def stop(self):
        try:
            return self.end()
        finally:
            self.process.stdout.close()
            self.log.close()
            shutil.rmtree(self.home, ignore_errors=True)

    def raw(
        self, method, path, body=None, headers=None, host="localhost", timeout=WAIT_S
    ):
        c = Connection(host, self.port, context=self.context, timeout=timeout)
        try:
            c.request(method, path, body=body, headers=headers or {})
            r = c.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            c.close()

    def form(self, **changes):
        f = {
            "grant_type": "client_credentials",
            "client_id": self.ready["client_id"],
            "client_secret": self.ready["client_secret"],
            "scope": "https://vault.azure.net/.default",
        }
        f.update(changes)
        return {k: v for k, v in f.items() if v is not None}

    def ask_token(self, path="/oauth2/v2.0/token", tenant=None, **changes):
        return self.raw(
            "POST",
            "/" + (tenant or self.ready["tenant_id"]) + path,
            urllib.parse.urlencode(self.form(**changes)),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )

    def token(self):
        if not self.cached_token:
            self.cached_token = self.ask_token().json["access_token"]
        return self.cached_token

    def call(
        self, method, path, body=None, api=API, token=None, host="localhost", **query
    ):
        """A vault request with a good token (token=False: none)."""
        headers = {}
        if token is not False:
            headers["Authorization"] = "Bearer " + (token or self.token())
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if body is not None:
            headers["Content-Type"] = "application/json"
        if api:
            query["api-version"] = api
        tail = "?" + urllib.parse.urlencode(query) if query else ""
        return self.raw(method, path + tail, body, headers, host)

    def set(self, name, value="v", **fields):
        a = self.call("PUT", "/secrets/" + name, dict(fields, value=value))
        assert a.status == 200, (a.status, a.body)
        return a.json

    def follow(self, link):
        u = urllib.parse.urlsplit(link)
        return self.raw(
            "GET",
            u.path + "?" + u.query,
            None,
            {"Authorization": "Bearer " + self.token()},
            u.hostname,
        )

    def stats(self):
        """Requests so far: {"get": {"200": 3, "401": 1}, ...}."""
        return self.raw("GET", "/_dev/stats").json["ops"]


class Case(unittest.TestCase):
    """start(...) a dev vault; it is stopped, and must end well, when the test ends.

    Deletes and recoveries take effect at once, unless a limbo fault comes before."""

    def start(self, *flags):
        dv = DevVault(*flags, "--fault", "limbo=0")
        self.addCleanup(self.stopped, dv)
        return dv

    def stopped(self, dv):
        killed = dv.process.poll() is not None
        code = dv.end()
        text = dv.log_text()
        dv.stop()
        self.assertTrue(killed or code == 0, "ended with %d: %s" % (code, text))
        self.assertNotIn("Sanitizer", text)

    def with_faults(self, *faults):
        return self.start(*[w for f in faults for w in ("--fault", f)])

    def refused(self, answer, status, code=None, inner=None):
        self.assertEqual(answer.status, status, answer.body)
        if code:
            self.assertEqual(answer.error["code"], code)
        self.assertEqual(answer.inner, inner)
        self.assertTrue(answer.error["message"])


def wait_until(claim):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.02)
    return False
