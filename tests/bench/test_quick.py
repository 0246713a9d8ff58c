"""test_quick.py - scripts/bench runs, has every row, and leaves nothing behind.

BUILD names the build folder.  Speed is not judged here: the repetitions are too few.
"""
import json
import os
import pathlib
import subprocess
import tempfile

root = pathlib.Path(__file__).resolve().parents[2]
fields = {"name", "value", "unit", "ratio", "last", "reference", "budget", "ok"}

with tempfile.TemporaryDirectory() as tmp:
    ran = subprocess.run(
        [root / "scripts" / "bench", "--quick", "--json"],
        env={**os.environ, "TMPDIR": tmp}, stdout=subprocess.PIPE, timeout=110, check=True,
    )
    assert not os.listdir(tmp), "temporary files were left behind"
rows = json.loads(ran.stdout)
assert len(rows) == 24, f"{len(rows)} rows"
for row in rows:
    assert set(row) == fields, row
    assert row["value"] > 0 and row["ratio"] > 0, row
    assert isinstance(row["ok"], bool), row
print(f"{len(rows)} rows")
