"""report.py - samples on stdin ("NAME VALUE" a line) -> the table of scripts/bench, or JSON.

    report.py table|json [--save | --quick]

Every row of ROWS is printed; a sample that is missing is an error, not an empty row.
Numbers are medians.  Of what is measured by turns the ratio is taken pair by pair, and then
the median of these: a machine's speed drifts, and two neighbours share it.
Others' clients have rows when they were measured.
Ratios that are 15 % worse than those of the last run that was saved (last.json, in the
repository) are told on stderr, and fail nothing: machines differ.  --save saves these;
--quick: too few samples to say that something is worse.
"""
import json
import operator
import pathlib
import statistics
import sys

LAST = pathlib.Path(__file__).with_name("last.json")
WORSE = 1.15


def of_threads(n, few):
    """Value, unit, ratio and reference of gets by n threads, against so few."""
    def rate(m, threads):
        return 1e9 / m["cached_ns"] if threads == 1 else m[f"cached_{threads}_threads"]

    def ratio(m):
        if few == 1:
            return rate(m, n) / rate(m, 1)
        return m[f"cached_{n}_threads", f"cached_{few}_threads"]

    them = "1 thread" if few == 1 else f"{few} threads"
    return (lambda m: rate(m, n) / 1e6, "M gets/s", ratio,
            lambda m: f"{them}, {rate(m, few) / 1e6:.2f} M gets/s")


# name, value, unit, ratio, what the ratio is to, budget (on "ratio" or "value"; None: which
# way is better, and no limit): from samples m[...].
ROWS = [
    ("cold gets, concurrent", lambda m: m["gets_per_s"], "gets/s",
     lambda m: m["gets_per_s", "bare_gets_per_s"],
     lambda m: f"bare libcurl multi, {m['bare_gets_per_s']:.0f} gets/s", ("ratio", ">=", 0.8)),
    ("cold gets, one after the other", lambda m: m["serial_gets_per_s"], "gets/s",
     lambda m: m["serial_gets_per_s", "bare_serial_gets_per_s"],
     lambda m: f"bare libcurl multi, {m['bare_serial_gets_per_s']:.0f} gets/s",
     ("ratio", ">=", None)),
    ("get as a process", lambda m: m["process_ms"], "ms",
     lambda m: m["process_ms", "bare_process_ms"],
     lambda m: f"bare libcurl, {m['bare_process_ms']:.2f} ms", ("ratio", "<=", 1.3)),
    ("plan, 1 rule", lambda m: m["plan_last_1_ns"] / 1000, "us",
     lambda m: m["plan_last_1_ns"] / m["plan_reference_ns"],
     lambda m: f"Lua match + concat, {m['plan_reference_ns'] / 1000:.2f} us", ("value", "<=", 3)),
    ("plan, last of 50 rules", lambda m: m["plan_last_50_ns"] / 1000, "us",
     lambda m: m["plan_last_50_ns"] / m["plan_reference_ns"],
     lambda m: f"Lua match + concat, {m['plan_reference_ns'] / 1000:.2f} us", ("value", "<=", 3)),
    ("plan, last of 50 against first", lambda m: m["plan_last_50_ns"] / 1000, "us",
     lambda m: m["plan_last_50_ns", "plan_first_50_ns"],
     lambda m: f"first of 50 rules, {m['plan_first_50_ns'] / 1000:.2f} us", ("ratio", "<=", 1.25)),
    ("plan, last of 5,000 rules", lambda m: m["plan_last_5000_ns"] / 1000, "us",
     lambda m: m["plan_last_5000_ns", "plan_last_50_ns"],
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
     lambda m: m["reload_5000_ms", "reload_50_ms"] / 100,
     lambda m: f"100 x 50 rules, {m['reload_50_ms'] * 100:.0f} ms", ("ratio", "<=", 2)),
    ("memory, 10,000 cached secrets", lambda m: m["memory_kib"] / 1024, "MiB",
     lambda m: m["memory_kib"] / m["memory_open_kib"],
     lambda m: f"a handle without secrets, {m['memory_open_kib'] / 1024:.2f} MiB",
     ("value", "<=", 12)),
    ("memory of a cached secret", lambda m: m["memory_secret_bytes"], "bytes",
     lambda m: m["memory_secret_bytes"] / 80,
     lambda m: "its name and value, 80 bytes", ("value", "<=", None)),
    ("first answer after ml_open", lambda m: m["first_answer_ms"], "ms",
     lambda m: m["first_answer_ms"] / m["bare_first_answer_ms"],
     lambda m: f"bare libcurl, {m['bare_first_answer_ms']:.2f} ms", ("ratio", "<=", None)),
    ("system calls to the first answer", lambda m: m["first_answer_calls"], "calls",
     lambda m: m["first_answer_calls"] / m["bare_first_answer_calls"],
     lambda m: f"bare libcurl, {m['bare_first_answer_calls']:.0f} calls", ("ratio", "<=", None)),
    ("requests for one missing key", lambda m: m["crowd_requests"], "requests",
     lambda m: m["crowd_requests"] / m["crowd_callers"],
     lambda m: f"{m['crowd_callers']:.0f} callers at once", ("value", "<=", 1)),
    ("library, stripped", lambda m: m["library_bytes"] / 1024, "KiB",
     lambda m: m["library_bytes"] / m["curl_bytes"],
     lambda m: f"libcurl, {m['curl_bytes'] / 1024:.0f} KiB", ("value", "<=", 600)),
    ("cached get, 1 thread", lambda m: m["cached_ns"], "ns",
     lambda m: m["cached_ns"] / m["copy_ns"],
     lambda m: f"malloc + memcpy + free, {m['copy_ns']:.0f} ns", ("value", "<=", 150)),
    ("cached get, 10,000 names", lambda m: m["cached_names_ns"], "ns",
     lambda m: m["cached_names_ns"] / m["cached_ns"],
     lambda m: f"one name, {m['cached_ns']:.0f} ns", ("ratio", "<=", None)),
    ("cached gets, 2 threads", *of_threads(2, 1), ("ratio", ">=", None)),
    ("cached gets, 4 threads", *of_threads(4, 2), ("ratio", ">=", None)),
    ("cached gets, 8 threads", *of_threads(8, 2), ("ratio", ">=", 0.95)),
    ("hit in a miss storm, p50", lambda m: m["storm_p50_ns"], "ns",
     lambda m: m["storm_p50_ns", "quiet_p50_ns"],
     lambda m: f"in quiet, {m['quiet_p50_ns']:.0f} ns", ("ratio", "<=", None)),
    ("hit in a miss storm, p99", lambda m: m["storm_p99_ns"], "ns",
     lambda m: m["storm_p99_ns", "quiet_p99_ns"],
     lambda m: f"in quiet, {m['quiet_p99_ns']:.0f} ns", ("ratio", "<=", None)),
]
PEERS = {"sdk": "Azure SDK for Python", "javascript": "Azure SDK for JavaScript",
         "go": "Azure SDK for Go", "airflow": "Airflow's backend"}


def of_peer(sample, who):
    """A row that is there when its sample is: our serial gets against theirs."""
    return (f"the same, {who}", lambda m: m["serial_gets_per_s"], "gets/s",
            lambda m: m["serial_gets_per_s"] / m[sample],
            lambda m: f"{who}, {m[sample]:.0f} gets/s", ("ratio", ">=", None))


COMPARE = {"<=": operator.le, ">=": operator.ge}


class Samples:
    """What was measured: m[name] is a median, m[name, other] one of the ratios of pairs."""

    def __init__(self, lines):
        self.values = {}
        for line in lines:
            name, value = line.split()
            self.values.setdefault(name, []).append(float(value))

    def __contains__(self, name):
        return name in self.values

    def __getitem__(self, name):
        if isinstance(name, str):
            return statistics.median(self.values[name])
        ours, theirs = (self.values[one] for one in name)
        if len(ours) != len(theirs):
            sys.exit(f"report.py: {len(ours)} samples of {name[0]}, {len(theirs)} of {name[1]}")
        return statistics.median(map(operator.truediv, ours, theirs))


def rows_for(m):
    peers = {f"peer_{key}_gets_per_s": who for key, who in PEERS.items()}
    return ROWS + [of_peer(sample, who) for sample, who in peers.items() if sample in m]


def budget_of(what, sign, limit, unit):
    if limit is None:
        return "none"
    return f"{what} {sign} {limit}" + (f" {unit}" if what == "value" else "")


def rows(m):
    last = json.loads(LAST.read_text()) if LAST.exists() else {}
    for name, value, unit, ratio, reference, (what, sign, limit) in rows_for(m):
        numbers = {"value": value(m), "ratio": ratio(m)}
        yield {
            "name": name,
            "value": round(numbers["value"], 3),
            "unit": unit,
            "ratio": round(numbers["ratio"], 3),
            "last": last.get(name),
            "reference": reference(m),
            "budget": budget_of(what, sign, limit, unit),
            "ok": limit is None or COMPARE[sign](numbers[what], limit),
        }


def worse(made):
    """What is worse than last time, one line each."""
    signs = {row[0]: row[-1][1] for row in ROWS}  # peers are not ours to judge
    for r in made:
        now, last = r["ratio"], r["last"]
        if not last or not now or r["name"] not in signs:
            continue
        factor = now / last if signs[r["name"]] == "<=" else last / now
        if factor > WORSE:
            yield f"{r['name']}: ratio {now:.2f}, was {last:.2f}: {100 * factor - 100:.0f} % worse"


def table(made):
    head = ["name", "value", "unit", "ratio", "last", "reference", "budget", "ok"]
    cells = [head] + [
        [r["name"], f"{r['value']:.2f}", r["unit"], f"{r['ratio']:.2f}",
         f"{r['last']:.2f}" if r["last"] else "-", r["reference"], r["budget"],
         "ok" if r["ok"] else "MISSED"] for r in made
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())


def main():
    try:
        made = list(rows(Samples(sys.stdin)))
    except KeyError as missing:
        sys.exit(f"report.py: no sample of {missing}")
    for line in [] if sys.argv[2:] == ["--quick"] else worse(made):
        print(f"warning: {line}", file=sys.stderr)
    if sys.argv[2:] == ["--save"]:
        LAST.write_text(json.dumps({r["name"]: r["ratio"] for r in made}, indent=1) + "\n")
    if sys.argv[1] == "json":
        print(json.dumps(made, indent=1))
    else:
        table(made)


main()
