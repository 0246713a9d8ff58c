"""common.py - what the checks of shipped Lua sources against real servers share."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
HOST = "127.0.0.1"
WAIT_S = 60
failed = False


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Server:
    """A server of others, with a directory of its own, until the block ends."""

    def __init__(self, command, port):
        self.command, self.port = command, port

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        for _ in range(WAIT_S * 10):
            if self.process.poll() is not None:
                break
            with socket.socket() as s:
                if s.connect_ex((HOST, self.port)) == 0:
                    return self
            time.sleep(0.1)
        self.log.seek(0)
        raise SystemExit("the server did not start: " + self.log.read().decode()[-2000:])

    def __exit__(self, *args):
        self.process.terminate()
        self.process.wait(WAIT_S)
        self.log.close()


class Client:
    """The program, with one policy and these variables."""

    def __init__(self, directory, policy, **env):
        self.path = os.path.join(directory, "policy.lua")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(policy)
        self.env = {"PATH": os.environ["PATH"], "NO_COLOR": "1", **env}

    def run(self, *args):
        return subprocess.run([PROGRAM, *args, "--policy", self.path], env=self.env,
                              capture_output=True, timeout=WAIT_S, check=False)

    def get(self, name, *args):
        """(exit code, value); what is said on stderr is shown when a check fails."""
        r = self.run("get", name, *args)
        return r.returncode, r.stdout, r.stderr.decode()


def check(part, claim, got, want):
    global failed
    fine = got[:len(want)] == want
    failed = failed or not fine
    print(f"{'' if fine else 'not '}ok - {part}: {claim}"
          + ("" if fine else f": {got!r}, not {want!r}"), flush=True)


def end():
    sys.exit(failed)
