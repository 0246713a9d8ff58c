"""The program around the server: start, files, seed, store, signals, what it prints."""

import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

from harness import PROGRAM, WAIT_S, Case, Connection


def run(*flags):
    p = subprocess.run(
        [PROGRAM, *flags],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WAIT_S,
        text=True,
    )
    return p.returncode, p.stdout, p.stderr


class WithFolder(Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="devvault-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "w") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        return self.path(name)


class Ready(WithFolder):
    def test_ready_line_and_state(self):
        dv = self.start()
        self.assertEqual(
            list(dv.ready),
            [
                "vault_url",
                "authority_host",
                "tenant_id",
                "client_id",
                "client_secret",
                "ca_file",
                "state_dir",
            ],
        )
        self.assertEqual(dv.ready["vault_url"], "https://localhost:%d" % dv.port)
        d = dv.ready["state_dir"]
        self.assertEqual(stat.S_IMODE(os.stat(d).st_mode), 0o700)
        for name, mode in (("env", 0o600), ("key.pem", 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(d, name)).st_mode), mode)
        self.assertIn("DEVELOPMENT ONLY", dv.log_text())
        self.assertEqual(dv.end(signal.SIGINT), 0)
        self.assertFalse(os.path.exists(d))

    def test_ready_fd(self):
        r, w = os.pipe()
        with os.fdopen(r) as reader:
            p = subprocess.Popen(
                [PROGRAM, "--ready-fd", str(w)],
                pass_fds=[w],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            os.close(w)
            try:
                self.assertEqual(reader.read(), p.stdout.readline())
            finally:
                p.terminate()
                p.wait(WAIT_S)
                p.stdout.close()

    def test_env(self):
        secret = 'it\'s $HOME `x` "q" \\ é'
        state = self.path("state")
        dv = self.start("--state-dir", state, "--client-secret", secret)
        code, text, _ = run("--print-env", state)
        self.assertEqual(code, 0)
        script = text + "\nexec env -0\n"
        out = subprocess.run(
            ["sh", "-c", script], capture_output=True, timeout=WAIT_S
        ).stdout
        env = dict(e.split("=", 1) for e in out.decode().split("\0") if e)
        self.assertEqual(env["AZURE_CLIENT_SECRET"], secret)
        self.assertEqual(env["AZURE_TENANT_ID"], dv.ready["tenant_id"])
        self.assertEqual(env["AZURE_AUTHORITY_HOST"], dv.ready["authority_host"])
        self.assertEqual(env["MOONLATCH_VAULT_URL"], dv.ready["vault_url"])
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            self.assertEqual(env[name], dv.ready["ca_file"])
        kwargs = env["AIRFLOW__SECRETS__BACKEND_KWARGS"]
        self.assertNotIn("\n", kwargs)
        self.assertEqual(
            json.loads(kwargs),
            {
                "connections_prefix": "airflow-connections",
                "variables_prefix": "airflow-variables",
                "vault_url": dv.ready["vault_url"],
                "tenant_id": dv.ready["tenant_id"],
                "client_id": dv.ready["client_id"],
                "client_secret": secret,
            },
        )
        self.assertEqual(dv.end(), 0)
        self.assertTrue(os.path.exists(state))  # given by the user: stays

    def test_env_of_a_stopped_one(self):
        state = self.path("state")
        for number in (signal.SIGTERM, signal.SIGKILL):
            dv = self.start("--state-dir", state)
            self.assertEqual(run("--print-env", state)[0], 0)
            code, out, err = run("--state-dir", state)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("another dev vault", err)
            dv.end(number)
            code, out, err = run("--print-env", state)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("no dev vault runs with %s" % state, err)

    def test_other_loopback_address(self):
        dv = self.start("--listen", "127.0.0.2:0", "--imds-listen", "127.0.0.3:0")
        self.assertEqual(dv.ready["vault_url"], "https://127.0.0.2:%d" % dv.port)
        self.assertEqual(dv.ready["authority_host"], dv.ready["vault_url"])
        self.assertTrue(dv.ready["imds_endpoint"].startswith("http://127.0.0.3:"))
        form = urllib.parse.urlencode(dv.form()).encode()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=dv.context),
        )
        url = "%s/%s/oauth2/v2.0/token" % (
            dv.ready["authority_host"],
            dv.ready["tenant_id"],
        )
        with opener.open(url, form, timeout=WAIT_S) as r:
            token = json.load(r)["access_token"]
        q = urllib.request.Request(
            dv.ready["vault_url"] + "/secrets?api-version=7.5",
            headers={"Authorization": "Bearer " + token},
        )
        with opener.open(q, timeout=WAIT_S) as r:
            self.assertEqual(json.load(r)["value"], [])

    def test_open_state_directory(self):
        state = self.path("state")
        os.mkdir(state)
        os.chmod(state, 0o755)
        dv = self.start("--state-dir", state)
        self.assertIn("WARNING: other users can look into %s" % state, dv.log_text())
        for name in ("env", "key.pem"):
            mode = os.stat(os.path.join(state, name)).st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600)
        closed = self.start("--state-dir", self.path("closed"))
        self.assertNotIn("WARNING", closed.log_text())

    def test_authority_is_kept(self):
        state = self.path("state")
        dv = self.start("--state-dir", state)
        dv.end()
        again = self.start("--state-dir", state)
        again.context = dv.context  # a client that loaded the old file
        self.assertEqual(again.call("GET", "/secrets").status, 200)

    def test_names_in_the_certificate(self):
        dv = self.start("--vault", "one", "--vault", "two-2")
        for host in ("localhost", "one.localhost", "two-2.localhost", "127.0.0.1"):
            self.assertEqual(dv.call("GET", "/secrets", host=host).status, 200)

    def test_log_has_no_queries_and_no_values(self):
        dv = self.start()
        dv.set("canary-name", "canary-value")
        dv.call("GET", "/secrets/canary-name", canary="in-query")
        text = dv.log_text()
        self.assertIn("PUT localhost/secrets/canary-name 200", text)
        for hidden in ("canary-value", "in-query", "api-version", dv.token()):
            self.assertNotIn(hidden, text)


class Seed(WithFolder):
    def test_seed(self):
        seed = self.write(
            "seed.json",
            {
                "north": {
                    "plain": "v1",
                    "full": {
                        "value": "v2",
                        "contentType": "a/b",
                        "tags": {"t": "1"},
                        "attributes": {"enabled": False, "exp": 9},
                    },
                },
                "south": {"plain": "s"},
            },
        )
        dv = self.start("--seed", seed, "--vault", "extra")
        self.assertEqual(
            dv.call("GET", "/secrets", host="extra.localhost").json["value"], []
        )
        north = dv.call("GET", "/secrets/plain", host="north.localhost")
        self.assertEqual(north.json["value"], "v1")
        self.assertEqual(
            dv.call("GET", "/secrets/plain", host="south.localhost").json["value"], "s"
        )
        self.refused(
            dv.call("GET", "/secrets/full", host="north.localhost"),
            403,
            "Forbidden",
            "SecretDisabled",
        )
        item = dv.call("GET", "/secrets/full/versions", host="north.localhost").json[
            "value"
        ][0]
        self.assertEqual(
            (item["contentType"], item["tags"], item["attributes"]["exp"]),
            ("a/b", {"t": "1"}, 9),
        )

    def test_first_vault_of_the_seed_is_the_default(self):
        dv = self.start(
            "--seed", self.write("seed.json", {"north": {"a": "1"}, "zzz": {}})
        )
        self.assertEqual(dv.call("GET", "/secrets/a").json["value"], "1")

    def test_bad_seeds(self):
        for text in (
            "",
            "{",
            "[]",
            '{"v_1":{}}',
            '{"vault":{"a_b":"v"}}',
            '{"vault":{"a":1}}',
            '{"vault":{"a":{}}}',
            '{"vault":[]}',
            '{"vault":{},"Vault":{}}',
            '{"vault":{"a":"1","A":"2"}}',
            '{"vault":{"a":{"value":"1","contenttype":"x"}}}',
            '{"vault":{"a":{"value":"1","attributes":{"enable":true}}}}',
            '{"vault":{"a":"%s"}}' % ("x" * 25601),
            '{"vault":{"a":"canary-seed"}} x',
        ):
            code, out, err = run("--seed", self.write("bad.json", text))
            self.assertEqual((code, out), (2, ""), text[:40])
            self.assertIn("bad.json", err)
            self.assertNotIn("canary-seed", err)
        self.assertEqual(run("--seed", self.path("none.json"))[0], 2)


class Store(WithFolder):
    def test_survives_kill(self):
        store = self.path("vault.db")
        flags = (
            "--store",
            store,
            "--tenant-id",
            "t.example",
            "--client-id",
            "c",
            "--client-secret",
            "s",
        )
        dv = self.start(*flags)
        token, blob, kept = dv.token(), None, []
        for i in range(20):
            kept.append(dv.set("k-%d" % i, "value %d" % i)["id"].rsplit("/", 2)[1:])
        dv.call("DELETE", "/secrets/k-0")
        blob = dv.call("POST", "/secrets/k-1/backup").json["value"]
        self.assertEqual(dv.end(signal.SIGKILL), -signal.SIGKILL)
        again = self.start(*flags)
        again.cached_token = token  # tokens outlive a restart, as they do in the cloud
        for i, (name, version) in enumerate(kept[1:], 1):
            a = again.call("GET", "/secrets/%s/%s" % (name, version))
            self.assertEqual(a.json["value"], "value %d" % i)
        self.assertEqual(again.call("GET", "/deletedsecrets/k-0").status, 200)
        again.call("DELETE", "/secrets/k-1")
        again.call("DELETE", "/deletedsecrets/k-1")
        self.assertEqual(
            again.call("POST", "/secrets/restore", {"value": blob}).status, 200
        )

    def test_seed_does_not_overwrite(self):
        store, seed = self.path("v.db"), self.write(
            "s.json", {"vault": {"a": "seeded"}}
        )
        dv = self.start("--store", store, "--seed", seed)
        dv.set("a", "changed")
        dv.end()
        again = self.start("--store", store, "--seed", seed)
        self.assertEqual(again.call("GET", "/secrets/a").json["value"], "changed")

    def same_after_restart(self, *flags):
        dv = self.start(*flags)
        token, port = dv.token(), dv.port
        dv.end()
        again = self.start(*flags)
        again.cached_token = token
        for name in ("tenant_id", "client_id", "client_secret", "vault_url"):
            self.assertEqual(again.ready[name], dv.ready[name], name)
        return again, port

    def test_identity_is_kept(self):
        store = self.path("v.db")
        again, _ = self.same_after_restart("--store", store)
        self.assertEqual(again.call("GET", "/secrets").status, 200)
        third = self.start("--store", store)  # the port is taken: another one
        self.assertNotEqual(third.port, again.port)
        self.assertEqual(third.ready["tenant_id"], again.ready["tenant_id"])
        given = self.start("--store", store, "--tenant-id", "t.example")
        self.assertEqual(given.ready["tenant_id"], "t.example")
        self.same_after_restart("--state-dir", self.path("state"))
        other = self.start()
        self.assertNotEqual(other.ready["tenant_id"], again.ready["tenant_id"])

    def test_only_the_owner_reads_it(self):
        store = self.path("vault.db")
        for first in (True, False):
            dv = self.start("--store", store)
            dv.set("a")
            for name in (store, store + "-wal", store + "-shm"):
                self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600, name)
            dv.end(signal.SIGKILL)  # all three stay
            if first:
                for name in (store, store + "-wal", store + "-shm"):
                    os.chmod(name, 0o644)

    def test_bad_store(self):
        self.assertEqual(run("--store", self.path("no/such/dir.db"))[0], 1)
        code, _, err = run(
            "--store", self.write("text.db", "this is no database " * 100)
        )
        self.assertEqual(code, 1)
        self.assertIn("text.db", err)


class RudeClients(Case):
    """None of these may hurt the server or the clients after them."""

    def plain(self, dv, data):
        with socket.create_connection(("127.0.0.1", dv.port), WAIT_S) as s:
            s.sendall(data)
            s.settimeout(0.2)
            try:
                while s.recv(4096):
                    pass
            except OSError:
                pass

    def over_tls(self, dv, data):
        c = Connection("localhost", dv.port, context=dv.context, timeout=WAIT_S)
        c.connect()
        got = b""
        try:
            c.sock.sendall(data)
            c.sock.settimeout(0.5)
            while True:
                more = c.sock.recv(65536)
                if not more:
                    break
                got += more
        except OSError:
            pass
        c.close()
        return got

    def test_plain_http_and_half_handshakes(self):
        dv = self.start()
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01", b"\0" * 5000):
            self.plain(dv, data)
        self.assertEqual(dv.call("GET", "/secrets").status, 200)

    def test_odd_requests(self):
        dv = self.start()
        head = b" HTTP/1.1\r\nHost: localhost\r\n"
        for data in (
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"BREW /secrets" + head + b"\r\n",
            b"GET /secrets HTTP/9.9\r\n\r\n",
            b"GET *" + head + b"\r\n",
            b"GET https://localhost/secrets" + head + b"\r\n",
            b"GET /secrets" + head + b"X: " + b"y" * 100000 + b"\r\n\r\n",
            b"GET /" + b"s" * 100000 + head + b"\r\n",
            b"PUT /secrets/a" + head + b"Content-Length: -1\r\n\r\n",
            b"PUT /secrets/a" + head + b"Content-Length: 99999999999\r\n\r\n",
            b"PUT /secrets/a" + head + b"Content-Length: 10\r\n\r\nabc",
            b"PUT /secrets/a" + head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET /secrets/%00%ff?\xff=%zz&&=&a" + head + b"\r\n",
        ):
            got = self.over_tls(dv, data)
            self.assertNotIn(b" 200 ", got[:20], data[:40])
            self.assertNotIn(b" 500 ", got[:20], data[:40])
        self.assertEqual(dv.call("GET", "/secrets").status, 200)

    def test_many_requests_on_one_connection(self):
        dv = self.start()
        one = (
            b"GET /secrets/none?api-version=7.5 HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer " + dv.token().encode() + b"\r\n\r\n"
        )
        got = self.over_tls(dv, one * 20)
        self.assertEqual(got.count(b"HTTP/1.1 404"), 20)


class Speed(Case):
    def test_answers_do_not_wait_for_acknowledgements(self):
        """Nagle's algorithm would add 40 ms to each of them."""
        dv = self.start()
        headers = {"Authorization": "Bearer " + dv.token()}
        c = Connection("localhost", dv.port, context=dv.context, timeout=WAIT_S)
        self.addCleanup(c.close)
        fastest = WAIT_S
        for _ in range(30):
            begin = time.monotonic()
            c.request("GET", "/secrets/a?api-version=7.5", headers=headers)
            c.getresponse().read()
            fastest = min(fastest, time.monotonic() - begin)
        self.assertLess(fastest, 0.03)


class BadOptions(WithFolder):
    def test_refused(self):
        for flags in (
            ["--listen", "0.0.0.0:0"],
            ["--listen", "[::]:0"],
            ["--listen", "nohost"],
            ["--listen", "localhost:99999"],
            ["--listen", "example.com:1"],
            ["--vault", "x"],
            ["--vault", "a--b"],
            ["--vault", "1abc"],
            ["--vault", "abc-"],
            ["--vault", "v" * 25],
            ["--vault", "a.b.c"],
            ["--tenant-id", "a/b"],
            ["--tenant-id", ""],
            ["--client-id", "a b"],
            ["--client-secret", ""],
            ["--client-secret", "a\nb"],
            ["--vault", "one", "--vault", "ONE"],
            ["--page-size", "0"],
            ["--token-lifetime", "0"],
            ["--ready-fd", "0"],
            ["--ready-fd", "-1"],
            ["--ready-fd", "77"],
            ["--page-size", "26"],
            ["--page-size", "-1"],
            ["--fault", "nonsense"],
            ["--fault", "429:soon"],
            ["--nonsense"],
        ):
            code, out, err = run(*flags)
            self.assertEqual((code, out), (2, ""), flags)
            self.assertTrue(err, flags)

    def test_port_in_use(self):
        dv = self.start()
        code, _, err = run("--listen", "127.0.0.1:%d" % dv.port)
        self.assertEqual(code, 1)
        self.assertIn(str(dv.port), err)

    def test_remote_when_allowed(self):
        dv = self.start("--listen", "0.0.0.0:0", "--allow-remote")
        self.assertIn("WARNING", dv.log_text())

    def test_print_env_of_nothing(self):
        code, out, err = run("--print-env", self.path("none"))
        self.assertEqual((code, out), (2, ""))
        self.assertIn("none", err)

    def test_state_dir_is_removed_after_a_failed_start(self):
        env = dict(os.environ, TMPDIR=self.folder)
        p = subprocess.run(
            [PROGRAM, "--listen", "0.0.0.0:0"],
            env=env,
            capture_output=True,
            timeout=WAIT_S,
        )
        self.assertEqual(p.returncode, 2)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
