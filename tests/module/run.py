"""Runs a script under a stock Lua, with moonlatch.so and a dev vault to ask.

    run.py PROGRAM MODULE_DIR LUA SCRIPT [PRELOADED LIBRARY]

Every get takes 100 ms, and asking for versions never ends, so that there is something
in flight.  The last line of the script's output must be `ok`, or `ok` and what a
finalizer had to say; 77: what the script is about is not installed."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from devvault import Vault, WAIT_S  # noqa: E402

PROGRAM, MODULES, LUA, SCRIPT = sys.argv[1:5]
SEED = {"main": {"one": "first", "two": "second",
                 "off": {"value": "x", "attributes": {"enabled": False}}}}


def main():
    with Vault(PROGRAM, SEED, "--fault", "delay=100ms:op=get",
               "--fault", "delay=60s:op=list-versions") as vault:
        env = dict(vault.env, LUA_CPATH=os.path.join(MODULES, "?.so") + ";;",
                   LUA_PATH=os.path.join(os.path.dirname(SCRIPT), "?.lua") + ";;")
        if sys.argv[5:]:
            env["LD_PRELOAD"] = sys.argv[5]
        r = subprocess.run([LUA, SCRIPT], env=env, capture_output=True, text=True,
                           timeout=WAIT_S)
    sys.stdout.write(r.stdout)
    sys.stderr.write(r.stderr)
    if r.returncode == 77:
        return 77
    lines = r.stdout.splitlines()
    return 0 if r.returncode == 0 and "ok" in lines[-2:] and not r.stderr else 1


sys.exit(main())
