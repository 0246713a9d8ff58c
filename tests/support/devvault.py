"""A dev vault for tests that run programs: with Vault(PROGRAM, seed, flags...) as v.

v.env is what a program needs to reach it; v.dir is a folder of its own, removed with
it.  The process is ended by its id."""

import json
import os
import subprocess
import tempfile

WAIT_S = 60


class Vault:
    def __init__(self, program, seed, *flags):
        self.program, self.flags = program, flags
        self.home = tempfile.TemporaryDirectory(prefix="moonlatch-vault-")
        self.dir = self.home.name
        self.seed = os.path.join(self.dir, "seed.json")
        with open(self.seed, "w", encoding="utf-8") as f:
            json.dump(seed, f)
        self.process = None
        self.start()

    def start(self, *more):
        """Also once more after stop(): the same vault, with more flags."""
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "dev-vault", "--seed", self.seed, "--state-dir",
                 os.path.join(self.dir, "state"), *self.flags, *more],
                stdout=subprocess.PIPE, stderr=log)
        ready = json.loads(self.process.stdout.readline())
        self.env = {
            "PATH": os.environ["PATH"],
            "VAULT_URL": ready["vault_url"],
            "AZURE_AUTHORITY_HOST": ready["authority_host"],
            "AZURE_TENANT_ID": ready["tenant_id"],
            "AZURE_CLIENT_ID": ready["client_id"],
            "AZURE_CLIENT_SECRET": ready["client_secret"],
            "SSL_CERT_FILE": ready["ca_file"],
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(WAIT_S)
            self.process.stdout.close()
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.home.cleanup()
