"""check.py - Airflow's own AzureKeyVaultBackend and `moonlatch --policy airflow`, side by side.

    check.py PROGRAM

Both read the same AIRFLOW__SECRETS__BACKEND_KWARGS and ask the same vault; what one
answers the other must answer, be it a value, a connection's fields, an absence or a
refusal.  Prints one line a check: `ok - airflow: ...` or `not ok - airflow: ...: reason`.
INTEROP_VAULT_URL is https://NAME.localhost:PORT; AZURE_* name the identity.
"""
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from localhost import resolve_localhost_names  # noqa: E402

PROGRAM = sys.argv[1]
BACKEND = "airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend"
FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")
MISSING = 3  # exit codes: README
URL = os.environ["INTEROP_VAULT_URL"]
failures = 0

home = tempfile.TemporaryDirectory()
os.environ |= {"AIRFLOW_HOME": home.name, "AIRFLOW__SECRETS__BACKEND": BACKEND,
               "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
logging.disable(logging.CRITICAL)


def ask_no_public_authority():
    """The dev vault's authority is not on Microsoft's list, which is not asked here."""
    from azure.identity import ClientSecretCredential

    plain = ClientSecretCredential.__init__

    def init(self, *args, **kwargs):
        plain(self, *args, **{"disable_instance_discovery": True, **kwargs})

    ClientSecretCredential.__init__ = init


resolve_localhost_names()
ask_no_public_authority()
from airflow.configuration import initialize_secrets_backends  # noqa: E402


def check(name, call):
    global failures
    try:
        call()
        print(f"ok - airflow: {name}", flush=True)
    except Exception as e:  # noqa: BLE001
        failures += 1
        print(f"not ok - airflow: {name}: {type(e).__name__}: {e}", flush=True)


def backend(kwargs):
    """As a scheduler gets it: from the environment."""
    os.environ["AIRFLOW__SECRETS__BACKEND_KWARGS"] = json.dumps(kwargs)
    return initialize_secrets_backends()[0]


def theirs(b, kind, name):
    """("value", TEXT), ("missing",) or ("refused",)"""
    from azure.core.exceptions import HttpResponseError

    method = {"connections": b.get_conn_value, "variables": b.get_variable,
              "config": b.get_config}[kind]
    try:
        value = method(name)
    except HttpResponseError:
        return ("refused",)
    return ("missing",) if value is None else ("value", value)


def ours(kind, name, *flags):
    ran = subprocess.run(
        [PROGRAM, "get", f"airflow/{kind}/{name}", "--policy", "airflow", *flags],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    if ran.returncode == 0:
        return ("value", ran.stdout.decode())
    return ("missing",) if ran.returncode == MISSING else ("refused",)


def same(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: ours {got!r}, Airflow's {want!r}")


# ---- names ---------------------------------------------------------------------------

IDS = ("hello", "smtp_default", "my__conn", "under_score_", "UPPER", "with-dash", "absent_1")
STORED = ("hello", "smtp-default", "my--conn", "under-score-", "UPPER", "with-dash", "smtpdefault",
          "smtp--default")
KWARGS = {
    "defaults": {},
    "own prefixes": {"connections_prefix": "team-conn", "variables_prefix": "team-var",
                     "config_prefix": "team-cfg"},
    "a prefix that ends in the separator": {"variables_prefix": "airflow-variables--"},
    "an underscore in a prefix": {"variables_prefix": "team_var"},
    "an empty prefix": {"variables_prefix": "", "connections_prefix": ""},
    "another separator": {"sep": "--"},
    "an empty separator": {"sep": ""},
    "kinds that are switched off": {"connections_prefix": None, "config_prefix": None},
}


def seed(client):
    """Something under every name that any of KWARGS makes of IDS, each of another value."""
    for kind in ("connections", "variables", "config"):
        for prefix in (f"airflow-{kind}", {"connections": "team-conn", "variables": "team-var",
                                           "config": "team-cfg"}[kind]):
            for name in STORED:
                for sep in ("-", "--", ""):
                    client.set_secret(f"{prefix}{sep}{name}", f"{kind}: {prefix}{sep}{name}")
    for name in STORED:
        client.set_secret(name, f"bare: {name}")
    client.set_secret("teamvarhello", "no separator at all")
    client.set_secret("airflow-variables-off", "x", enabled=False)
    client.set_secret("airflow-variables-empty", "")
    client.set_secret("airflow-variables-lines", "two\nlines, \u00fcml\u00e4ut\n")


def compare_names(kwargs):
    b = backend({"vault_url": URL, **kwargs})
    n_values = 0
    for kind in ("connections", "variables", "config"):
        for name in IDS:
            want = theirs(b, kind, name)
            same(f"{kind} {name}", ours(kind, name), want)
            n_values += want[0] == "value"
    if n_values == 0:
        raise AssertionError("nothing was found at all")


def compare(kind, name, want=None):
    got = theirs(backend({"vault_url": URL}), kind, name)
    if want and got[0] != want:
        raise AssertionError(f"Airflow answers {got!r}")
    same(name, ours(kind, name), got)


def identity_in_kwargs():
    kept = {n: os.environ.pop(n) for n in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")}
    try:
        b = backend({"vault_url": URL, "tenant_id": os.environ["AZURE_TENANT_ID"],
                     "client_id": kept["AZURE_CLIENT_ID"],
                     "client_secret": kept["AZURE_CLIENT_SECRET"]})
        same("hello", ours("variables", "hello"), theirs(b, "variables", "hello"))
    finally:
        os.environ.update(kept)


# ---- connections -----------------------------------------------------------------------

CONNECTIONS = {
    "postgres": "postgresql://u:p%2Fw%40x@DB.Example.COM:5432/my%20db?sslmode=require&opt=",
    "gcp": "google-cloud-platform://?key_path=%2Fk.json&scope=a%2Cb",
    "http": "http://https://user:pw@host:8080/p",
    "extra": "aws://?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D",
    "socket": "mysql://u:p@%2Ftmp%2Fsock/db",
    "ipv6": "mysql://[::1]:3306/db",
    "colons": "mysql://u:a:b@h/db",
    "json": json.dumps({"conn_type": "postgresql", "host": "db", "login": "etl", "password": "p",
                        "schema": "s", "port": 5432, "extra": {"sslmode": "require"}}),
    "json-text-extra": json.dumps({"conn_type": "http", "host": "h", "extra": "{\"a\": [1, 2]}"}),
    "json-dashes": json.dumps({"conn_type": "google-cloud-platform", "description": "d"}),
    "json-port-text": json.dumps({"conn_type": "ssh", "host": "h", "port": "2222"}),
    "json-uri": json.dumps({"uri": "ssh://u:p@h:22"}),
}


def compare_connection(name):
    c = backend({"vault_url": URL}).get_connection(f"parsed-{name}")
    want = {f: getattr(c, f) for f in FIELDS if getattr(c, f) not in (None, "")}
    _, text = ours("connections", f"parsed-{name}", "--json", "--reveal")
    got = json.loads(text)["connection"]
    same("fields", {f: v for f, v in got.items() if v not in (None, "")}, want)


def main():
    client = backend({"vault_url": URL}).client
    seed(client)
    for name, value in CONNECTIONS.items():
        client.set_secret(f"airflow-connections-parsed-{name}", value)
    for name, kwargs in KWARGS.items():
        check(name, lambda k=kwargs: compare_names(k))
    check("a disabled secret is refused", lambda: compare("variables", "off", "refused"))
    check("an empty value is a value", lambda: compare("variables", "empty", "value"))
    check("lines and umlauts", lambda: compare("variables", "lines", "value"))
    check("the identity in the kwargs", identity_in_kwargs)
    for name in CONNECTIONS:
        check(f"connection: {name}", lambda n=name: compare_connection(n))
    sys.exit(1 if failures else 0)


main()
