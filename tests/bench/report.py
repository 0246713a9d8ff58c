"""report.py - samples on stdin ("NAME VALUE" a line) -> the table of scripts/bench, or JSON.

Every row of ROWS is printed; a sample that is missing is an error, not an empty row.
"""
import json
import operator
import statistics
import sys

# name, value, unit, ratio, what the ratio is to, budget (on "ratio" or "value"): from
# medians m[...].
ROWS = [
    ("cold gets, concurrent", lambda m: m["gets_per_s"], "gets/s",
     lambda m: m["gets_per_s"] / m["bare_gets_per_s"],
     lambda m: f"bare libcurl multi, {m['bare_gets_per_s']:.0f} gets/s", ("ratio", ">=", 0.8)),
    ("get as a process", lambda m: m["process_ms"], "ms",
     lambda m: m["process_ms"] / m["bare_process_ms"],
     lambda m: f"bare libcurl, {m['bare_process_ms']:.2f} ms", ("ratio", "<=", 1.3)),
    ("plan, 1 rule", lambda m: m["plan_last_1_ns"] / 1000, "us",
     lambda m: m["plan_last_1_ns"] / m["plan_reference_ns"],
     lambda m: f"Lua match + concat, {m['plan_reference_ns'] / 1000:.2f} us", ("value", "<=", 3)),
    ("plan, last of 50 rules", lambda m: m["plan_last_50_ns"] / 1000, "us",
     lambda m: m["plan_last_50_ns"] / m["plan_reference_ns"],
     lambda m: f"Lua match + concat, {m['plan_reference_ns'] / 1000:.2f} us", ("value", "<=", 3)),
    ("plan, last of 50 against first", lambda m: m["plan_last_50_ns"] / 1000, "us",
     lambda m: m["plan_last_50_ns"] / m["plan_first_50_ns"],
     lambda m: f"first of 50 rules, {m['plan_first_50_ns'] / 1000:.2f} us", ("ratio", "<=", 1.25)),
    ("plan, last of 5,000 rules", lambda m: m["plan_last_5000_ns"] / 1000, "us",
     lambda m: m["plan_last_5000_ns"] / m["plan_last_50_ns"],
     lambda m: f"last of 50 rules, {m['plan_last_50_ns'] / 1000:.2f} us", ("ratio", "<=", 2)),
    ("memory of 50 rules", lambda m: m["policy_50_bytes"] / 1024, "KiB",
     lambda m: (m["policy_50_bytes"] / 49) / (m["policy_5000_bytes"] / 4999),
     lambda m: "a rule of 5,000", ("value", "<=", 128)),
    ("memory of a rule of 5,000", lambda m: m["policy_5000_bytes"] / 4999, "bytes",
     lambda m: m["policy_5000_bytes"] / 4999 / 170,
     lambda m: "its text, 170 bytes", ("value", "<=", 2560)),
    ("reload of 50 rules", lambda m: m["reload_50_ms"], "ms",
     lambda m: m["reload_50_ms"] / m["compile_50_ms"],
     lambda m: f"Lua compiles it, {m['compile_50_ms']:.2f} ms", ("value", "<=", 20)),
    ("reload of 5,000 rules", lambda m: m["reload_5000_ms"], "ms",
     lambda m: m["reload_5000_ms"] / m["reload_50_ms"] / 100,
     lambda m: f"100 x 50 rules, {m['reload_50_ms'] * 100:.0f} ms", ("ratio", "<=", 2)),
    ("memory, 10,000 cached secrets", lambda m: m["memory_kib"] / 1024, "MiB",
     lambda m: m["memory_kib"] / m["memory_open_kib"],
     lambda m: f"a handle without secrets, {m['memory_open_kib'] / 1024:.2f} MiB",
     ("value", "<=", 12)),
    ("cached get, 1 thread", lambda m: m["cached_ns"], "ns",
     lambda m: m["cached_ns"] / m["copy_ns"],
     lambda m: f"malloc + memcpy + free, {m['copy_ns']:.0f} ns", ("value", "<=", 150)),
    ("cached gets, 8 threads", lambda m: m["cached_8_threads"] / 1e6, "M gets/s",
     lambda m: m["cached_8_threads"] / m["cached_2_threads"],
     lambda m: f"2 threads, {m['cached_2_threads'] / 1e6:.2f} M gets/s", ("ratio", ">=", 0.95)),
]
COMPARE = {"<=": operator.le, ">=": operator.ge}


def medians(lines):
    samples = {}
    for line in lines:
        name, value = line.split()
        samples.setdefault(name, []).append(float(value))
    return {name: statistics.median(values) for name, values in samples.items()}


def rows(m):
    for name, value, unit, ratio, reference, (what, sign, limit) in ROWS:
        numbers = {"value": value(m), "ratio": ratio(m)}
        yield {
            "name": name,
            "value": round(numbers["value"], 3),
            "unit": unit,
            "ratio": round(numbers["ratio"], 3),
            "reference": reference(m),
            "budget": f"{what} {sign} {limit}" + (f" {unit}" if what == "value" else ""),
            "ok": COMPARE[sign](numbers[what], limit),
        }


def table(made):
    head = ["name", "value", "unit", "ratio", "reference", "budget", "ok"]
    cells = [head] + [
        [r["name"], f"{r['value']:.2f}", r["unit"], f"{r['ratio']:.2f}", r["reference"],
         r["budget"], "ok" if r["ok"] else "MISSED"] for r in made
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def main():
    try:
        made = list(rows(medians(sys.stdin)))
    except KeyError as missing:
        sys.exit(f"report.py: no sample of {missing}")
    if sys.argv[1:] == ["json"]:
        print(json.dumps(made, indent=1))
    else:
        table(made)


main()
