"""What Airflow's LocalFilesystemBackend would answer, said by Python itself.

    local_oracle.py LOCAL_ANSWERS [--seed N] [--count N]

Writes random files, asks our reader (local_answers.c), and compares.  Written from the
description of the behaviour, over PyYAML's safe_load, json and str.  Answers that are
objects are compared as JSON.  What ours refuses on purpose is listed in is_left_out.
Exit status 1 when any answer differs.
"""

import argparse
import datetime
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import yaml

FIELDS = {"conn_id", "conn_type", "description", "host", "login", "password", "schema",
          "port", "extra", "uri", "extra_dejson"}


class Refused(Exception):
    """The whole file fails."""


# ---- the files, as Airflow takes them apart ------------------------------------------


def read_env(text):
    found = {}
    for line in text.splitlines():
        if not line or line.lstrip(" \t").startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not (equals and key and value):
            raise Refused("line")
        found.setdefault(key, []).append(value)
    return found


def read(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if path.suffix.lower() == ".env":
        return read_env(text)
    try:
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, TypeError) as problem:
        raise Refused("syntax") from problem
    if not text or not isinstance(found, dict):
        raise Refused("no object")
    return found


def variables(found):
    answers = {}
    for key, value in found.items():
        if isinstance(value, list):
            if len(value) != 1:
                raise Refused("not unique")
            value = value[0]
        if value is not None:
            answers[str(key)] = value
    return answers


def connection(key, value):
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not set(value) <= FIELDS:
        raise Refused("no connection")
    if "extra" in value and "extra_dejson" in value:
        raise Refused("extra")
    if value.get("conn_id", key) != key:
        raise Refused("conn_id")
    return {"extra" if name == "extra_dejson" else name: field
            for name, field in value.items() if name != "conn_id"}


def connections(found):
    answers = {}
    for key, value in found.items():
        values = value if isinstance(value, list) else [value]
        if len(values) > 1:
            raise Refused("not unique")
        for one in values:
            answers[str(key)] = connection(key, one)
    return answers


# ---- random files ----------------------------------------------------------------------

PIECES = list("0123456789") + ["0", "1", "_", ":", ".", "-", "+", "e", "E", "x", "b", "f",
                               "e+", "e-", "0x", "0b", ".inf", ".nan", "00", "59", "1_0"]
WORDS = ["yes", "No", "TRUE", "off", "null", "~", "NULL", "''", "'1'", '"a\\nb"', "a b", "=x",
         "2001-12-14", "2001-02-29", "2000-02-29 1:02:03.5", "2001-12-14T21:59:43.1234567Z",
         "2001-12-14 21:59:43 +05:30", "1999-1-2 3:04:05-1", "!!str 1", "y", "<<", "x: y"]


def plain(rnd):
    if rnd.random() < 0.4:
        return rnd.choice(WORDS)
    return "".join(rnd.choice(PIECES) for _ in range(rnd.randrange(1, 6)))


def yaml_text(rnd):
    lines = []
    for i in range(rnd.randrange(1, 4)):
        form = rnd.random()
        value = plain(rnd)
        if form < 0.1:
            value = f"[{value}]"
        elif form < 0.2:
            value = f"[[{plain(rnd)}, {value}]]"
        elif form < 0.3:
            value = f"{{a: {value}, b: {{{plain(rnd)}: c}}}}"
        elif form < 0.35:
            value = f"{{<<: {{a: 1, b: 2}}, a: {value}}}"
        elif form < 0.4:
            value = f"&x {value}\nz{i}: *x"
        lines.append(f"k{i}: {value}\n")
    return "".join(lines)


JSON_NUMBERS = ["0", "-0", "1e5", "1E400", "-1.50", "1e-7", "123456789012345678901", "0.1e1",
                "1e16", "123456789.123456789", "5e-324", "1.7976931348623157e308", "0.30000000000000004"]


def json_value(rnd, depth=0):
    kind = rnd.randrange(8 if depth < 3 else 5)
    if kind < 2:
        return rnd.choice(JSON_NUMBERS)
    if kind < 4:
        return json.dumps("".join(rnd.choice("ab\"\\\n\u00e9\U0001f512\x7f") for _ in range(4)),
                          ensure_ascii=rnd.random() < 0.5)
    if kind == 4:
        return rnd.choice(["true", "false", "null"])
    if kind < 7:
        members = ", ".join(f'"{rnd.choice("abc")}": {json_value(rnd, depth + 1)}' for _ in range(3))
        return "{" + members + "}"
    return "[" + ", ".join(json_value(rnd, depth + 1) for _ in range(rnd.randrange(3))) + "]"


def json_text(rnd):
    members = [f'"k{rnd.randrange(3)}": {json_value(rnd)}' for _ in range(3)]
    return "{" + rnd.choice([", ", ",\n"]).join(members) + rnd.choice(["}", "}", "}", "} x", ",}"])


def env_text(rnd):
    pieces = ["k", "k2", "=", "=", " ", "\n", "\n", "#", "v", '"', "\r\n", "\v", "\u2028", "\x85",
              "k=v\n", "k1=v w\n"]
    return "".join(rnd.choice(pieces) for _ in range(rnd.randrange(1, 12)))


def connection_text(rnd):
    def field():
        name = rnd.choice(["conn_id", "conn_type", "host", "port", "extra", "extra_dejson", "user"])
        return f'"{name}": {rnd.choice([json_value(rnd, 3), json.dumps("k"), "80"])}'

    def one():
        form = rnd.randrange(6)
        if form == 0:
            return rnd.choice(["1", "null", "[]", "true"])
        if form < 3:
            return rnd.choice(['"mysql://u:p@h/d"', '["x://"]', '["x://", "y://"]', '""'])
        return "{" + ", ".join(field() for _ in range(rnd.randrange(4))) + "}"

    return '{"k": ' + one() + ', "j": ' + one() + "}"


KINDS = {"yaml": (yaml_text, variables), "json": (json_text, variables),
         "env": (env_text, variables), "connections": (connection_text, connections)}

# ---- comparing ---------------------------------------------------------------------------


def is_left_out(kind, text):
    """What libyaml refuses, PyYAML's own parser not: a colon before , ] or } in brackets.
    Dates, infinity and NaN as keys inside objects: ours shows them as str() does."""
    return kind == "yaml" and re.search(r":[],}]|b: {([^:]*\d-\d.*|-?[.](inf|nan)): c}", text)


def is_same(ours, value):
    if isinstance(value, (dict, list)):
        try:
            return json.dumps(json.loads(ours)) == json.dumps(json.loads(json.dumps(value)))
        except (TypeError, ValueError):
            return ours is None  # no JSON: a date inside, for one
    return ours == str(value)


def difference(path, ours, answers_of):
    try:
        answers = answers_of(read(path))
    except Refused as problem:
        return f"ours is accepted, not refused for {problem}" if ours is not None else None
    if ours is None:
        return "ours is refused"
    if set(ours) != set(answers):
        return f"our keys: {sorted(ours)}"
    for key, value in answers.items():
        if not is_same(ours[key], value):
            shown = value if not isinstance(value, datetime.date) else str(value)
            return f"our {key}: {ours[key]!r}, not {shown!r}"
    return None


def compare(program, kind, rnd, count, folder):
    make, answers_of = KINDS[kind]
    suffix = "json" if kind == "connections" else kind
    paths = []
    while len(paths) < count:
        text = make(rnd)
        if is_left_out(kind, text):
            continue
        paths.append(folder / f"{kind}{len(paths)}.{suffix}")
        paths[-1].write_bytes(text.encode())
    flags = ["--connections"] if kind == "connections" else []
    done = subprocess.run([program, *flags, *map(str, paths)], check=True, capture_output=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == count, (len(lines), count)
    bad = 0
    for path, line in zip(paths, lines):
        problem = difference(path, json.loads(line), answers_of)
        bad += problem is not None
        if problem and bad <= 10:
            print(f"{kind}: {path.read_bytes()!r}: {problem}")
    print(f"local {kind}: {count} cases, {bad} differ")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=20240607)
    parser.add_argument("--count", type=int, default=1500)
    args = parser.parse_args()
    rnd = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        bad = [compare(args.program, kind, rnd, args.count, pathlib.Path(folder)) for kind in KINDS]
    sys.exit(any(bad))


if __name__ == "__main__":
    main()
