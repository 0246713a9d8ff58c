"""What Airflow's Azure Key Vault backend would do, said by Python itself.

Writes JSON lines: random cases and the answer to each.  compare.lua reads them and asks
our Lua the same questions.

    airflow_oracle.py names 10000 [--seed N]        {"prefix", "sep", "id", "name", "whole"}
    airflow_oracle.py connections 2000 [--seed N]   {"uri", "error"} or {"uri", "conn"}

Written from the description of the behaviour, on the standard library alone: str.rstrip
and str.replace for the names; urllib's urlsplit, unquote and parse_qsl for the URIs.
Texts that Python versions take apart differently (odd square brackets, raw control
characters) are left out.
"""

import argparse
import json
import random
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

# ---- names --------------------------------------------------------------------------


def constructed(prefix, sep):
    """What the constructor keeps of a prefix."""
    return prefix.rstrip(sep) if prefix else prefix


def built(prefix, sep, ident):
    """The name of the secret; prefix as the constructor keeps it."""
    name = ident if prefix == "" else f"{prefix}{sep}{ident}"
    return name.replace("_", sep)


WORDS = ["airflow", "connections", "variables", "config", "prod", "a", "B", "db", "my",
         "smtp_default", "x1", "team"]
ODD = list("-_-_-_./ab%$^[]()*+?\\\"' \t~:#@&=09Zz") + [
    "\u00e9", "\u00a9", "\u00c3", "\u20ac", "\U0001f512", "\u3000", "\u00df"]
SEPS = ["-", "-", "-", "", "--", "_", "__", "/", ".", "%", "ab-", "-_", "\u00e9", "\u00a9\u00e9",
        "%1", "^", "]", "a", "\U0001f512-"]


def random_text(rnd, sep):
    pieces = []
    for _ in range(rnd.randrange(0, 6)):
        pieces.append(rnd.choice([rnd.choice(WORDS), rnd.choice(ODD), sep, "_"]))
    return "".join(pieces)


def random_prefix(rnd, sep):
    if rnd.random() < 0.05:
        return False
    if rnd.random() < 0.05:
        return rnd.choice([0, 0.0])
    prefix = random_text(rnd, sep)
    if sep and rnd.random() < 0.4:  # something to strip, also in another order
        tail = [rnd.choice(sep) for _ in range(rnd.randrange(1, 4))]
        prefix += "".join(tail)
    return prefix


def name_case(rnd):
    sep = rnd.choice(SEPS) if rnd.random() < 0.8 else random_text(rnd, "-")
    prefix, ident = random_prefix(rnd, sep), random_text(rnd, sep)
    name = built(constructed(prefix, sep), sep, ident)
    return {"prefix": prefix, "sep": sep, "id": ident, "name": name,
            "whole": type(prefix) is int}  # lua-cjson cannot tell 0 from 0.0


# ---- connections --------------------------------------------------------------------


class NotAConnection(Exception):
    pass


def conn_type_of(scheme):
    return "postgres" if scheme == "postgresql" else scheme.replace("-", "_")


def hostname_of(parts):
    host = unquote(parts.hostname or "")
    if "/" not in host:
        return host
    netloc = parts.netloc.rpartition("@")[2]
    return unquote(netloc.partition(":")[0])


def extra_of(query):
    if not query:
        return None
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return pairs["__extra__"] if "__extra__" in pairs else json.dumps(pairs)


def check_extra(extra):
    if not extra:
        return
    try:
        fine = isinstance(json.loads(extra), dict)
    except ValueError:
        fine = False
    if not fine:
        raise NotAConnection("extra")


def parsed(value):
    uri = value.strip()
    marks = uri.count("://")
    if marks > 2:
        raise NotAConnection("marks")
    scheme = urlsplit(uri).scheme
    rest = uri.replace(scheme + "://", "" if marks == 2 else "//")
    if marks == 2 and any(c in rest.split("://", 1)[0] for c in "@:"):
        raise NotAConnection("second mark")
    parts = urlsplit(rest)
    host = hostname_of(parts)
    if marks == 2 and host and parts.scheme:
        host = f"{parts.scheme}://{host}"
    extra = extra_of(parts.query)
    check_extra(extra)
    return {
        "conn_type": conn_type_of(scheme), "host": host,
        "login": parts.username and unquote(parts.username),
        "password": parts.password and unquote(parts.password),
        "schema": unquote(parts.path[1:]), "port": parts.port, "extra": extra,
    }


SCHEMES = ["mysql", "postgresql", "google-cloud-platform", "google_cloud", "HTTP", "http",
           "s3+x", "a.b", "x", "", "9p", "postgres", "http://https", "http://HTTP",
           "http://http", "a://b://c", "\u00e9"]
HOSTS = ["host", "DB.Example.COM", "%2Ftmp%2FSock", "[::1]", "[2001:DB8::1%25Eth0]", "",
         "127.0.0.1", "H%41B", "h\u00f6st", "a b", "%zz", "u@v"]
TEXTS = ["user", "p%2Fw%40x", "", "a:b", "a@b", "%ff", "%C3%A9", "%c3", "%F0%9F%94", "p#w",
         "p?w", "p/w", "\u00e9%C3", "%", "%4", "a+b", "p;w", "%00x"]
PORTS = ["", ":", ":0", ":5432", ":65535", ":65536", ":99999", ":abc", ":+5", ":-1",
         ":00080", ": 5", ":5_0", ":\u0665"]
KEYS = ["a", "b", "a+b", "%C3%A9", "sslmode", "", "__extra__", "a%3Db"]
VALUES = ["1", "", "c+d", "a%2Cb", "\u20ac", "%F0%9F%94%92", "%22q%22", "a=b", "b;c=2", "%80",
          "%5C", "%0A", "%7F", "\x7f", "x#y", "?"]
EXTRAS = ["%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D", "%7B%7D", "abc", "%5B1%5D", "", "{\"a\":1}"]


def random_query(rnd):
    items = []
    for _ in range(rnd.randrange(0, 4)):
        key = rnd.choice(KEYS)
        value = rnd.choice(EXTRAS if key == "__extra__" else VALUES)
        items.append(rnd.choice([f"{key}={value}", f"{key}={value}", key, ""]))
    return rnd.choice(["?", "/?", "#"]) + "&".join(items) if items else ""


def random_uri(rnd):
    if rnd.random() < 0.05:
        return random_text(rnd, "://") or "x"
    user = ""
    if rnd.random() < 0.7:
        user = rnd.choice(TEXTS)
        if rnd.random() < 0.7:
            user += ":" + rnd.choice(TEXTS)
        user += "@"
    path = rnd.choice(["", "", "/", "/db", "/my%20db", "/a/b", "//c", "/%zz\u00e9%C3%A9"])
    mark = "://" if rnd.random() < 0.95 else rnd.choice([":", "//", ":/"])
    uri = (rnd.choice(SCHEMES) + mark + user + rnd.choice(HOSTS) + rnd.choice(PORTS)
           + path + random_query(rnd))
    return rnd.choice(["", "", "", " ", "\n", "\u3000"]) + uri + rnd.choice(["", "", "", " "])


def is_settled(uri):
    """Do all supported versions of Python agree on it?"""
    text = uri.strip()
    if any(ord(c) < 0x21 for c in text[:1]) or any(c in text for c in "\t\r\n"):
        return False
    if not text.isascii() and text.split("?")[0].lower() != "".join(
            c.lower() if c.isascii() else c for c in text.split("?")[0]):
        return False  # lower case beyond ASCII: not ours
    brackets = text.count("[") + text.count("]")
    return brackets == 0 or (brackets == 2 and ("[::1]" in text or "[2001:" in text)
                             and "@[" not in text.split("@[", 1)[-1])


def connection_case(rnd):
    while True:
        uri = random_uri(rnd)
        if uri.strip() and not uri.strip().startswith("{") and is_settled(uri):
            break
    try:
        return {"uri": uri, "conn": parsed(uri)}
    except (ValueError, NotAConnection):
        return {"uri": uri, "error": True}


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("what", choices=["names", "connections"])
    args.add_argument("count", type=int)
    args.add_argument("--seed", type=int, default=20240607)
    args = args.parse_args()
    rnd = random.Random(args.seed)
    case = name_case if args.what == "names" else connection_case
    print(f"{args.what}: seed {args.seed}", file=sys.stderr)
    for _ in range(args.count):
        print(json.dumps(case(rnd)))


if __name__ == "__main__":
    main()
