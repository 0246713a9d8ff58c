"""The examples, as programs against a dev vault: what they promise, also when it fails.

    examples.py PROGRAM DIR_OF_EXAMPLES CLASS..."""

import os
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from devvault import Vault, WAIT_S  # noqa: E402

PROGRAM, DIR = sys.argv[1:3]
CANARY = "canary-7c1e\u20ac\nline two"
POLICY = """
local ml = require 'moonlatch.policy'
local kv = ml.azure_key_vault { vault_url = ml.env 'VAULT_URL' }
return ml.policy {
  ml.deny 'root/*',
  ml.rule '**' { replace = { ['/'] = '-' }, from = kv },
}
"""
SEED = {"main": {"db-password": CANARY, "tls-key": "key\u0000with NUL", "empty": "",
                 "off": {"value": "x", "attributes": {"enabled": False}}}}


class Example(unittest.TestCase):
    flags = ()

    def setUp(self):
        self.vault = Vault(PROGRAM, SEED, *self.flags)
        self.addCleanup(self.vault.__exit__)
        self.policy = self.write("policy.lua", POLICY)

    def write(self, name, text):
        path = os.path.join(self.vault.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def read(self, name):
        with open(os.path.join(self.vault.dir, name), "rb") as f:
            return f.read()

    def path(self, name):
        return os.path.join(self.vault.dir, name)

    def run_it(self, name, *args, stdin=""):
        r = subprocess.run([os.path.join(DIR, "embed_" + name), *args], env=self.vault.env,
                           capture_output=True, text=True, input=stdin, timeout=WAIT_S)
        self.assertNotIn("canary", r.stdout + r.stderr)
        self.assertNotIn("Sanitizer", r.stderr)
        return r.returncode, sorted(r.stdout.splitlines()), r.stderr


class Epoll(Example):
    flags = ("--fault", "delay=100ms:op=get")

    def test_outcomes(self):
        code, out, err = self.run_it(
            "epoll", self.policy, stdin="db/password\nnowhere\noff\nroot/x\n\ndb/password\n")
        self.assertEqual(code, 1)
        size = len(CANARY.encode())
        self.assertEqual(out, [": invalid", f"db/password: found, {size} bytes",
                               f"db/password: found, {size} bytes", "nowhere: missing",
                               "off: disabled", "root/x: policy"])
        self.assertIn("nowhere", err)

    def test_reads_on_while_it_waits(self):
        names = "".join(f"name-{i}\n" for i in range(200))
        began = time.monotonic()
        code, out, _ = self.run_it("epoll", self.policy, stdin=names)
        self.assertEqual(code, 1)
        self.assertEqual(out, sorted(f"name-{i}: missing" for i in range(200)))
        self.assertLess(time.monotonic() - began, 200 * 0.1)  # one after another

    def test_all_is_well(self):
        self.assertEqual(self.run_it("epoll", self.policy, stdin="db/password\n")[0], 0)
        self.assertEqual(self.run_it("epoll", self.policy)[0], 0)

    def test_no_policy(self):
        code, _, err = self.run_it("epoll", "/nonexistent.lua")
        self.assertEqual(code, 2)
        self.assertIn("/nonexistent.lua", err)


class Loops(Example):
    """libevent and libuv: the same host twice."""
    flags = ("--fault", "delay=100ms:op=get")
    late = {"libevent": "unavailable", "libuv": "canceled"}

    def test_outcomes(self):
        for name in self.late:
            with self.subTest(name):
                code, out, _ = self.run_it(name, self.policy, "30000", "db/password",
                                           "nowhere", "off", "root/x")
                self.assertEqual(code, 1)
                self.assertEqual([line for line in out if "ticks" not in line],
                                 ["db/password: found", "nowhere: missing", "off: disabled",
                                  "root/x: policy"])
                code, out, _ = self.run_it(name, self.policy, "30000", "db/password")
                self.assertEqual((code, out[0]), (0, "db/password: found"))

    def test_nothing_can_start(self):
        for name in self.late:
            with self.subTest(name):
                self.assertEqual(self.run_it(name, self.policy, "30000", "")[0], 1)

    def test_the_loop_goes_on(self):
        _, out, _ = self.run_it("libevent", self.policy, "30000", "db/password")
        self.assertGreater(int(out[1].split()[1]), 0)

    def test_patience(self):
        self.vault.stop()
        self.vault.start("--fault", "delay=60s:op=get")
        for name, word in self.late.items():
            with self.subTest(name):
                began = time.monotonic()
                code, out, _ = self.run_it(name, self.policy, "300", "db/password", "off")
                self.assertEqual(code, 1)
                self.assertEqual(out[:2], [f"db/password: {word}", f"off: {word}"])
                self.assertLess(time.monotonic() - began, 20)


class Pool(Example):
    def test_outcomes(self):
        code, out, _ = self.run_it("pool", self.policy, "8",
                                   stdin="db/password\nnowhere\noff\nempty\n" * 50)
        self.assertEqual(code, 1)
        self.assertEqual(out, sorted(["db/password: done", "nowhere: missing", "off: disabled",
                                      "empty: invalid"] * 50))

    def test_a_short_outage_is_waited_for(self):
        self.vault.stop()
        self.vault.start("--fault", "503:first=9,op=get")
        code, out, _ = self.run_it("pool", self.policy, "4", stdin="db/password\n" * 8)
        self.assertEqual((code, out), (0, ["db/password: done"] * 8))

    def test_an_outage_is_not_an_absence(self):
        self.vault.stop()
        code, out, err = self.run_it("pool", self.policy, "4", stdin="db/password\n")
        self.assertEqual((code, out), (1, ["db/password: unavailable"]))
        self.assertIn("localhost", err)


class Cron(Example):
    def cron(self, *lines, runs=1):
        table = self.write("crontab", "# every, name, secrets : command\n\n" +
                           "".join(line + "\n" for line in lines))
        env = {**self.vault.env, "EXAMPLE_OF_OURS": "not for jobs"}
        with open(self.path("stderr"), "wb") as err:
            process = subprocess.Popen(
                [os.path.join(DIR, "embed_cron"), self.policy, table, str(runs)], env=env,
                cwd=self.vault.dir, stdout=subprocess.DEVNULL, stderr=err)
        self.addCleanup(process.wait, WAIT_S)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def said(self):
        text = self.read("stderr").decode()
        self.assertNotIn("canary", text)
        self.assertNotIn("Sanitizer", text)
        return text

    def wait_for(self, condition):
        give_up = time.monotonic() + WAIT_S
        while not condition():
            self.assertLess(time.monotonic(), give_up, self.said())
            time.sleep(0.02)

    def exists(self, name):
        return os.path.exists(self.path(name))

    def test_variable_and_file(self):
        process = self.cron(
            "3600 one PW=db/password KEY@tls/key FILE@db/password : printf %s \"$PW\" > pw;"
            " cat \"$KEY\" > key; cat \"$FILE\" \"$FILE\" > twice; env > env;"
            " (echo no >> \"$KEY\") 2> /dev/null || echo sealed > sealed")
        self.assertEqual(process.wait(WAIT_S), 0, self.said())
        self.assertEqual(self.read("pw"), CANARY.encode())
        self.assertEqual(self.read("key"), b"key\0with NUL")
        self.assertEqual(self.read("twice"), 2 * CANARY.encode())
        self.assertEqual(self.read("sealed"), b"sealed\n")
        for ours in (b"AZURE", b"EXAMPLE_OF_OURS", self.vault.env["AZURE_CLIENT_SECRET"].encode()):
            self.assertNotIn(ours, self.read("env"))
        self.assertEqual(self.said(), "")

    def test_a_job_has_its_own_files_only(self):
        look = "ls -l /proc/self/fd | grep -c memfd > {0}; sleep 0.5"
        process = self.cron("3600 a A@db/password : " + look.format("a"),
                            "3600 b A@db/password B@tls/key : " + look.format("b"),
                            "3600 c : " + look.format("c"))
        process.wait(WAIT_S)
        self.assertEqual([self.read(n) for n in "abc"], [b"1\n", b"2\n", b"0\n"])

    def test_what_fails_is_not_run_and_hurts_nobody(self):
        process = self.cron(
            "3600 missing A=db/password B=nowhere : touch ran-missing",
            "3600 empty A=empty : touch ran-empty",
            "3600 empty-file A@empty : touch ran-empty-file",
            "3600 off A=off : touch ran-off",
            "3600 denied A=root/x : touch ran-denied",
            "3600 nul A=tls/key : touch ran-nul",
            "3600 status A=db/password : exit 3",
            "3600 good A=db/password : touch ran-good")
        self.assertEqual(process.wait(WAIT_S), 1)
        self.assertEqual([n for n in os.listdir(self.vault.dir) if n.startswith("ran-")],
                         ["ran-good"])
        for text in ("missing: not run: missing: nowhere", "empty: not run: invalid: empty",
                     "empty-file: not run: invalid", "off: not run: disabled: off",
                     "denied: not run: policy", "nul: not run: invalid: tls/key: holds a NUL",
                     "status: ended with 3"):
            self.assertIn(text, self.said())

    def test_an_outage_delays(self):
        self.vault.stop()
        process = self.cron("3600 late A=db/password : printf %s \"$A\" > late")
        self.wait_for(lambda: "late: delayed: unavailable" in self.said())
        self.assertFalse(self.exists("late"))
        self.vault.start()
        self.assertEqual(process.wait(WAIT_S), 0)
        self.assertEqual(self.read("late"), CANARY.encode())
        self.assertNotIn("not run", self.said())

    def test_throttled_delays_and_sigterm_ends(self):
        self.vault.stop()
        self.vault.start("--fault", "429:retry-after=100")
        process = self.cron("3600 late A=db/password : touch ran")
        self.wait_for(lambda: self.said().count("late: delayed: throttled") >= 2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_S), 0)
        self.assertFalse(self.exists("ran"))

    def test_sigterm_while_it_resolves(self):
        self.vault.stop()
        self.vault.start("--fault", "delay=60s:op=get")
        process = self.cron("3600 slow A=db/password B=off : touch ran",
                            "3600 quick : touch quick")
        self.wait_for(lambda: self.exists("quick"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_S), 0)
        self.assertFalse(self.exists("ran"))

    def test_again_and_again_with_a_policy_that_changes(self):
        process = self.cron("1 job A=db/password : printf '%s.' \"$A\" >> all", runs=1000)
        self.wait_for(lambda: self.exists("all") and CANARY.encode() in self.read("all"))
        self.write("policy.lua", "return nonsense")
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "the policy stays as it was: " in self.said())
        self.write("policy.lua", POLICY.replace("db", "x").replace("{ ['/'] = '-' }",
                                                                 "{ ['db/password'] = 'new' }"))
        self.add("new", "after")
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: b"after." in self.read("all"))
        self.assertGreaterEqual(self.read("all").count(CANARY.encode()), 1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_S), 0)

    def add(self, key, value):
        policy = self.write("add.lua", POLICY)
        subprocess.run([PROGRAM, "put", key, "--policy", policy], env=self.vault.env,
                       input=value, text=True, check=True, timeout=WAIT_S,
                       stderr=subprocess.DEVNULL)

    def test_scrubbed_while_the_job_still_runs(self):
        process = self.cron("3600 job A_VARIABLE_OF_A_LONG_NAME=db/password : touch began;"
                            " while [ -e began ]; do sleep 0.05; done")
        self.wait_for(lambda: self.exists("began"))
        needle, found = b"LONG_NAME=canary", 0
        with open(f"/proc/{process.pid}/maps", encoding="ascii") as f:
            ranges = [line.split()[0].split("-") for line in f if " rw-p " in line]
        with open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
            for first, last in ranges:
                start, size = int(first, 16), int(last, 16) - int(first, 16)
                if size > 1 << 28:
                    continue  # shadows of a sanitizer
                try:
                    memory.seek(start)
                    found += memory.read(size).count(needle)
                except (OSError, ValueError, OverflowError):
                    pass
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(WAIT_S), 0)
        self.assertEqual(found, 0)

    def test_not_a_crontab(self):
        for line in ("nonsense", "0 job : true", "5 job A : true", "5 job =x : true", "5 : true",
                     "5 job " + " ".join(f"V{i}=x" for i in range(9)) + " : true"):
            with self.subTest(line):
                self.assertEqual(self.cron(line).wait(WAIT_S), 2)
                self.assertIn("crontab", self.said())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
