"""The README's example is hello.c, compiles with the public header and the library alone,
and does what it says against a dev vault.

    test_readme.py SOURCE_DIR LIBRARY_DIR PROGRAM [COMPILER FLAGS...]"""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from devvault import Vault, WAIT_S  # noqa: E402

SOURCE, LIBRARY, PROGRAM = sys.argv[1:4]
FLAGS = sys.argv[4:]
HELLO = os.path.join(SOURCE, "tests", "embed", "hello.c")


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory(prefix="moonlatch-readme-")
        home = cls.dir.name
        os.mkdir(os.path.join(home, "include"))
        os.symlink(os.path.join(SOURCE, "core", "moonlatch.h"),
                   os.path.join(home, "include", "moonlatch.h"))
        cls.hello = os.path.join(home, "hello")
        subprocess.run(
            ["cc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", *FLAGS,
             "-I", os.path.join(home, "include"), HELLO, "-o", cls.hello,
             "-L", LIBRARY, "-lmoonlatch", "-Wl,-rpath," + LIBRARY],
            check=True, timeout=WAIT_S)
        cls.vault = Vault(PROGRAM, {"demo": {
            "db-password": "s3cret\n\u20ac",
            "db-off": {"value": "x", "attributes": {"enabled": False}}}})
        cls.env = cls.vault.env

    @classmethod
    def tearDownClass(cls):
        cls.vault.__exit__()
        cls.dir.cleanup()

    def run_hello(self, *args, **env):
        return subprocess.run([self.hello, *args], env={**self.env, **env},
                              capture_output=True, timeout=WAIT_S)

    def test_text(self):
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
            blocks = f.read().split("```c\n")[1:]
        with open(HELLO, encoding="utf-8") as f:
            hello = f.read()
        self.assertIn(hello, [b.split("```")[0] for b in blocks],
                      "README.md does not show tests/embed/hello.c as it is")
        self.assertLessEqual(hello.count("\n"), 40)

    def test_found(self):
        r = self.run_hello()
        self.assertEqual((r.returncode, r.stdout, r.stderr),
                         (0, "s3cret\n\u20ac".encode(), b""))

    def test_missing(self):
        r = self.run_hello("db/nothing")
        self.assertEqual((r.returncode, r.stdout, r.stderr),
                         (1, b"", b"db/nothing is nowhere\n"))

    def test_refused(self):
        r = self.run_hello("db/off")
        self.assertEqual((r.returncode, r.stdout), (1, b""))
        self.assertTrue(r.stderr.startswith(b"disabled: "), r.stderr)
        r = self.run_hello(AZURE_CLIENT_SECRET="canary-wrong")
        self.assertEqual((r.returncode, r.stdout), (1, b""))
        self.assertTrue(r.stderr.startswith(b"unauthenticated: "), r.stderr)
        self.assertNotIn(b"canary", r.stderr)

    def test_cannot_open(self):
        env = dict(self.env)
        del env["VAULT_URL"]
        r = subprocess.run([self.hello], env=env, capture_output=True, timeout=WAIT_S)
        self.assertEqual(r.returncode, 1)
        self.assertTrue(r.stderr.startswith(b"cannot open: "), r.stderr)
        self.assertIn(b"VAULT_URL", r.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
