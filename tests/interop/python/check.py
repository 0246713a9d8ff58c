"""check.py - the Azure SDK for Python, unchanged, against a Key Vault given in the environment.

Prints one line a check: `ok - python: ...` or `not ok - python: ...: reason`.
INTEROP_VAULT_URL is https://NAME.localhost:PORT, INTEROP_LOOPBACK_URL the same vault as
https://localhost:PORT; AZURE_* name the identity, REQUESTS_CA_BUNDLE the trust.
"""
import os
import pathlib
import sys
from datetime import datetime, timezone

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from localhost import resolve_localhost_names  # noqa: E402

VAULT_SCOPE = "https://vault.azure.net/.default"
failures = 0


def credential(**changed):
    settings = {
        "tenant_id": os.environ["AZURE_TENANT_ID"],
        "client_id": os.environ["AZURE_CLIENT_ID"],
        "client_secret": os.environ["AZURE_CLIENT_SECRET"],
        "authority": os.environ["AZURE_AUTHORITY_HOST"],
        "disable_instance_discovery": True,
    }
    return ClientSecretCredential(**{**settings, **changed})


def client(**options):
    url = options.pop("vault_url", os.environ["INTEROP_VAULT_URL"])
    return SecretClient(url, options.pop("credential", None) or credential(), **options)


def same(what, got, want):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def refused(kind, call, status=None, words=()):
    """The call raises `kind` with this status, and the text holds each of `words`."""
    try:
        call()
    except kind as error:
        if status is not None:
            same("status", getattr(error, "status_code", None), status)
        for word in words:
            if word not in str(error) + repr(getattr(error, "error", "")):
                raise AssertionError(f"no {word!r} in: {error}") from error
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def innermost(error):
    """The deepest innererror's code: the word that tools branch on."""
    inner = error.error
    while getattr(inner, "innererror", None):
        inner = inner.innererror
        if isinstance(inner, dict):
            return inner.get("code")
    return inner.code


def token():
    got = credential().get_token(VAULT_SCOPE)
    assert got.token and got.expires_on > datetime.now(timezone.utc).timestamp() + 60


def token_refused(words, **changed):
    refused(
        ClientAuthenticationError,
        lambda: credential(**changed).get_token(VAULT_SCOPE),
        words=words,
    )


def wrong_secret():
    token_refused(["AADSTS7000215"], client_secret="not-the-secret")


def wrong_client():
    token_refused(["AADSTS700016"], client_id="00000000-0000-0000-0000-00000000dead")


def wrong_tenant():
    # MSAL asks for the tenant's OpenID configuration first and puts this in its own words.
    token_refused(
        ["Unable to get authority configuration"],
        tenant_id="00000000-0000-0000-0000-00000000dead",
    )


def set_get():
    expires = datetime(2040, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    vault = client()
    made = vault.set_secret(
        "py-full",
        "välue\n€ line 2",
        content_type="text/plain",
        tags={"team": "billing", "äß": "x y"},
        expires_on=expires,
    )
    got = vault.get_secret("py-full")
    same("value", got.value, "välue\n€ line 2")
    same("version", got.properties.version, made.properties.version)
    same("version length", len(got.properties.version), 32)
    same("content type", got.properties.content_type, "text/plain")
    same("tags", got.properties.tags, {"team": "billing", "äß": "x y"})
    same("expires", got.properties.expires_on, expires)
    same("enabled", got.properties.enabled, True)
    assert got.properties.created_on and got.properties.updated_on
    same("vault of the id", got.properties.vault_url.split(":")[0], "https")
    same("name", got.name, "py-full")


def loopback_url():
    """https://localhost is nobody's subdomain: the SDK's own switch is needed there."""
    vault = client(
        vault_url=os.environ["INTEROP_LOOPBACK_URL"], verify_challenge_resource=False
    )
    same("value", vault.get_secret("py-full").value, "välue\n€ line 2")


def folded_name():
    same("value", client().get_secret("PY-FULL").value, "välue\n€ line 2")


def big_value():
    vault = client()
    value = "v" * 25600
    vault.set_secret("py-big", value)
    same("25,600 bytes", vault.get_secret("py-big").value == value, True)
    refused(HttpResponseError, lambda: vault.set_secret("py-big", value + "v"), 400)


def bad_name():
    refused(HttpResponseError, lambda: client().set_secret("py_under", "v"), 400)


def list_paging():
    vault = client()
    names = {f"py-list-{i:02}" for i in range(30)}
    for name in sorted(names):
        vault.set_secret(name, "v-" + name)
    pages = [list(page) for page in vault.list_properties_of_secrets().by_page()]
    listed = [item.name for page in pages for item in page]
    assert len(pages) > 1, "30 secrets came in one page"
    same("each listed once", len(listed), len(set(listed)))
    same("missing from the list", names - set(listed), set())
    small = list(vault.list_properties_of_secrets(max_page_size=7).by_page())
    assert all(len(list(page)) <= 7 for page in small)


def versions():
    vault = client()
    made = [vault.set_secret("py-versions", f"v{i}").properties.version for i in range(3)]
    listed = {
        p.version for p in vault.list_properties_of_secret_versions("py-versions")
    }
    same("versions", listed, set(made))
    same("latest", vault.get_secret("py-versions").value, "v2")
    same("first", vault.get_secret("py-versions", made[0]).value, "v0")
    refused(
        ResourceNotFoundError, lambda: vault.get_secret("py-versions", "0" * 32), 404
    )


def update():
    vault = client()
    vault.set_secret("py-update", "kept", tags={"a": "1"}, content_type="old")
    vault.update_secret_properties("py-update", content_type="new", tags={"b": "2"})
    got = vault.get_secret("py-update")
    same("value", got.value, "kept")
    same("content type", got.properties.content_type, "new")
    same("tags", got.properties.tags, {"b": "2"})


def disabled():
    vault = client()
    vault.set_secret("py-disabled", "hidden")
    vault.update_secret_properties("py-disabled", enabled=False)
    error = refused(HttpResponseError, lambda: vault.get_secret("py-disabled"), 403)
    same("innermost code", innermost(error), "SecretDisabled")
    listed = {p.name: p.enabled for p in vault.list_properties_of_secrets()}
    same("listed as", listed.get("py-disabled"), False)
    vault.update_secret_properties("py-disabled", enabled=True)
    same("enabled again", vault.get_secret("py-disabled").value, "hidden")


def not_found():
    error = refused(
        ResourceNotFoundError, lambda: client().get_secret("py-no-such"), 404
    )
    same("code", error.error.code, "SecretNotFound")
    refused(
        ResourceNotFoundError, lambda: client().get_deleted_secret("py-no-such"), 404
    )


def delete_recover():
    vault = client()
    vault.set_secret("py-delete", "comes back")
    deleting = vault.begin_delete_secret("py-delete")
    gone = deleting.result()
    deleting.wait()  # the vault takes a moment, as the service does
    assert gone.recovery_id and gone.deleted_date and gone.scheduled_purge_date
    refused(ResourceNotFoundError, lambda: vault.get_secret("py-delete"), 404)
    same("deleted", vault.get_deleted_secret("py-delete").name, "py-delete")
    assert "py-delete" in {s.name for s in vault.list_deleted_secrets()}
    error = refused(
        ResourceExistsError, lambda: vault.set_secret("py-delete", "again"), 409
    )
    same("innermost code", innermost(error), "ObjectIsDeletedButRecoverable")
    vault.begin_recover_deleted_secret("py-delete").wait()
    same("recovered", vault.get_secret("py-delete").value, "comes back")


def purge():
    vault = client()
    vault.set_secret("py-purge", "first")
    vault.begin_delete_secret("py-purge").wait()
    vault.purge_deleted_secret("py-purge")
    refused(ResourceNotFoundError, lambda: vault.get_deleted_secret("py-purge"), 404)
    vault.set_secret("py-purge", "second")
    same("name is free", vault.get_secret("py-purge").value, "second")


def backup_restore():
    vault = client()
    old = vault.set_secret("py-backup", "one").properties.version
    vault.set_secret("py-backup", "two")
    blob = vault.backup_secret("py-backup")
    assert b"one" not in blob and b"two" not in blob, "the backup shows values"
    refused(ResourceExistsError, lambda: vault.restore_secret_backup(blob), 409)
    vault.begin_delete_secret("py-backup").wait()
    vault.purge_deleted_secret("py-backup")
    vault.restore_secret_backup(blob)
    same("latest", vault.get_secret("py-backup").value, "two")
    same("old version", vault.get_secret("py-backup", old).value, "one")


CHECKS = [
    ("token by client secret", token),
    ("a wrong secret is AADSTS7000215", wrong_secret),
    ("an unknown client is AADSTS700016", wrong_client),
    ("an unknown tenant is refused", wrong_tenant),
    ("challenge, set, get with all metadata", set_get),
    ("get through https://localhost, verification off", loopback_url),
    ("names fold case", folded_name),
    ("25,600 bytes fit, one more is 400", big_value),
    ("a name with an underscore is 400", bad_name),
    ("list 30 by pages", list_paging),
    ("versions", versions),
    ("update keeps the value", update),
    ("disabled is 403 SecretDisabled", disabled),
    ("not found is 404 SecretNotFound", not_found),
    ("delete and recover by poller", delete_recover),
    ("purge frees the name", purge),
    ("backup and restore", backup_restore),
]


def run(title, check):
    global failures
    try:
        check()
    except Exception as error:  # a failing check must not end the others
        failures += 1
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")[:400]
        print(f"not ok - python: {title}: {reason}", flush=True)
    else:
        print(f"ok - python: {title}", flush=True)


resolve_localhost_names()
for name, function in CHECKS:
    run(name, function)
sys.exit(1 if failures else 0)
