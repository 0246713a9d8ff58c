"""instructions.py - how many instructions a cached get and a plan take, by callgrind.

    instructions.py DIR             compares with instructions.json; fails at 5 % more
    instructions.py DIR --write     renews that file

DIR has the programs, of a plain build.  Each runs twice; the difference leaves out what
happens once.  Counts hardly depend on the machine, nor on what else it does.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

COMMITTED = pathlib.Path(__file__).with_name("instructions.json")
LIMIT = 1.05
# name, program and its arguments before and after the number, small and large number,
# operations that the large one has more
ROWS = [
    ("cached get", ["bench_hits"], [], 2000, 12000, 10000),
    ("plan, last of 50 rules", ["bench_plan", "50"], ["last"], 1000, 6000, 5500),
]


def count(command, scratch):
    ran = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out", *command],
        capture_output=True, text=True, timeout=300)
    collected = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode != 0 or not collected:
        sys.exit(f"instructions.py: {' '.join(command)} failed\n{ran.stderr}")
    return int(collected[1])


def measure(folder):
    with tempfile.TemporaryDirectory() as scratch:
        for name, before, after, few, many, more in ROWS:
            program = [str(folder / before[0]), *before[1:]]
            counts = [count([*program, str(n), *after], scratch) for n in (few, many)]
            yield name, round((counts[1] - counts[0]) / more)


def compare(measured):
    committed = json.loads(COMMITTED.read_text())
    failed = 0
    for name, now in measured.items():
        ratio = now / committed[name]
        verdict = "ok"
        if ratio > LIMIT:
            verdict, failed = "WORSE", failed + 1
        elif ratio < 2 - LIMIT:
            verdict = "better: renew instructions.json with --write"
        print(f"{name}: {now} instructions, {committed[name]} committed,"
              f" {100 * (ratio - 1):+.1f} %  {verdict}")
    print(f"{len(measured) - failed} passed, {failed} failed, 0 skipped")
    return failed == 0


def main():
    measured = dict(measure(pathlib.Path(sys.argv[1])))
    if sys.argv[2:] == ["--write"]:
        COMMITTED.write_text(json.dumps(measured, indent=1) + "\n")
        print(COMMITTED.read_text(), end="")
    elif not compare(measured):
        sys.exit(1)


main()
