"""peer.py - cold gets one after the other, by the Azure SDK for Python or Airflow's backend.

    peer.py sdk|airflow COUNT

The credential has its token already: what is measured are the gets.  Prints one sample.
"""
import os
import sys
import time

from azure.core.credentials import AccessToken
from azure.keyvault.secrets import SecretClient


class Credential:
    def get_token(self, *scopes, **kwargs):
        return AccessToken("bench-only", int(time.time()) + 3600)


def by_sdk(client):
    return lambda name: client.get_secret(name).value


def by_airflow(client):
    from airflow.providers.microsoft.azure.secrets.key_vault import AzureKeyVaultBackend

    backend = AzureKeyVaultBackend(variables_prefix="key")
    backend.__dict__["client"] = client
    return lambda name: backend.get_variable(name.removeprefix("key-"))


who, count = sys.argv[1], int(sys.argv[2])
url = os.environ["BENCH_VAULT_URL"]
get = {"sdk": by_sdk, "airflow": by_airflow}[who](
    SecretClient(url, Credential(), verify_challenge_resource=False))
get("key-00000")
began = time.perf_counter()
for i in range(count):
    if not get(f"key-{i:05d}"):
        sys.exit(f"key-{i:05d} has no value")
print(f"peer_{who}_gets_per_s {count / (time.perf_counter() - began):.6g}")
