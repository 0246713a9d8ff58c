#!/usr/bin/env bats
# The table of the README, "Set up Azure Key Vault as your secrets backend": every row, as
# a user of Airflow meets it, with the exit code and the words that the row promises.

load support

setup_file() {
    load support
    clean_environment
    printf '{"dev": {"airflow-variables-hello": "world", "airflow-variables-gone": "x",
        "airflow-variables-off": {"value": "x", "attributes": {"enabled": false}}}}' \
        >"$BATS_FILE_TMPDIR/seed.json"
    start_vault dev --seed "$BATS_FILE_TMPDIR/seed.json" \
        --client-secret canary-client --client-secret-expired canary-expired
    start_vault refusing --seed "$BATS_FILE_TMPDIR/seed.json" \
        --fault forbid=rbac:*-rbac --fault forbid=policy:*-policy \
        --fault forbid=firewall:*-firewall
    start_vault abroad --seed "$BATS_FILE_TMPDIR/seed.json" \
        --tenant-id 33333333-3333-3333-3333-333333333333
}

teardown_file() {
    load support
    stop_all
}

setup() {
    clean_environment
    in_vault dev
}

# in_vault NAME : step 4 of the page, the .env file; nothing else is set but the trust.
in_vault() {
    use_vault "$1"
    CLIENT_SECRET=$AZURE_CLIENT_SECRET TENANT=$AZURE_TENANT_ID CLIENT=$AZURE_CLIENT_ID
    unset AZURE_CLIENT_SECRET AZURE_CLIENT_ID AZURE_TENANT_ID MOONLATCH_POLICY
    dot_env
}

# dot_env [KEY VALUE]... : writes it, with these kwargs changed.
dot_env() {
    printf 'AIRFLOW__SECRETS__BACKEND=airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend
AIRFLOW__SECRETS__BACKEND_KWARGS=%s\n' "$(kwargs tenant_id "$TENANT" client_id "$CLIENT" \
        client_secret "$CLIENT_SECRET" connections_prefix airflow-connections \
        variables_prefix airflow-variables "$@")" >"$BATS_TEST_TMPDIR/.env"
}

# row CODE NAME [FLAGS...] : step 5.
row() {
    local code=$1 name=$2
    shift 2
    expect "$code" get "$name" --env-file "$BATS_TEST_TMPDIR/.env" --policy airflow "$@"
    unsaid canary
}

@test "all is well" {
    row 0 variables/hello
    [ "$output" = world ]
    [ -z "$stderr" ]
}

@test "wrong prefix, or no such secret" {
    row 3 variables/nothing
    says missing
    says airflow-variables-nothing
    dot_env variables_prefix air-flow
    row 3 variables/hello
    says air-flow-hello
}

@test "the secret was deleted" {
    expect 0 delete variables/gone --yes --env-file "$BATS_TEST_TMPDIR/.env"
    row 4 variables/gone
    says deleted
    says "moonlatch recover variables/gone"
}

@test "the secret is disabled" {
    row 4 variables/off
    says "disabled (SecretDisabled)"
    expect 0 update variables/off --enable --env-file "$BATS_TEST_TMPDIR/.env"
    row 0 variables/off
}

@test "403 by RBAC, by access policy, by the vault's firewall" {
    in_vault refusing
    row 4 variables/rbac
    says ForbiddenByRbac
    says "Key Vault Secrets User"
    row 4 variables/policy
    says ForbiddenByPolicy
    says "--secret-permissions get"
    row 4 variables/firewall
    says ForbiddenByFirewall
}

@test "wrong and expired client secret" {
    dot_env client_secret canary-wrong
    row 6 variables/hello
    says AADSTS7000215
    dot_env client_secret canary-expired
    row 6 variables/hello
    says AADSTS7000222
}

@test "wrong tenant, and the vault of another one" {
    dot_env tenant_id 99999999-9999-9999-9999-999999999999
    row 6 variables/hello
    says 99999999-9999-9999-9999-999999999999
    local ours=$TENANT authority=$AZURE_AUTHORITY_HOST
    in_vault abroad
    cat "$BATS_FILE_TMPDIR"/{dev,abroad}/ca.pem >"$BATS_TEST_TMPDIR/both.pem"
    dot_env tenant_id "$ours" client_secret canary-client
    AZURE_AUTHORITY_HOST=$authority SSL_CERT_FILE=$BATS_TEST_TMPDIR/both.pem \
        row 6 variables/hello
    says "the vault belongs to tenant 33333333"
}

@test "the vault does not resolve" {
    dot_env vault_url https://moonlatch-no-such-vault.vault.azure.net
    row 5 variables/hello --timeout 4s
    says moonlatch-no-such-vault.vault.azure.net
}

@test "a firewall on the way: refused, or no answer in time" {
    dot_env vault_url https://localhost:1
    row 5 variables/hello --timeout 4s
    says "localhost:1"
    says refused
    python3 -c 'import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(5)
print(s.getsockname()[1], flush=True)
time.sleep(60)' >"$BATS_TEST_TMPDIR/port" 3>&- &
    local silent=$!
    until [ -s "$BATS_TEST_TMPDIR/port" ]; do sleep 0.05; done
    dot_env vault_url "https://localhost:$(cat "$BATS_TEST_TMPDIR/port")"
    row 5 variables/hello --timeout 2s
    kill "$silent"
    says "localhost:$(cat "$BATS_TEST_TMPDIR/port")"
    says "no complete answer"
}

@test "a certificate that is not trusted" {
    unset SSL_CERT_FILE
    row 5 variables/hello --timeout 5s
    says SSL_CERT_FILE
}

@test "malformed JSON in BACKEND_KWARGS" {
    printf 'AIRFLOW__SECRETS__BACKEND_KWARGS={"vault_url": "%s" "client_secret": "canary"}\n' \
        "$VAULT_URL" >"$BATS_TEST_TMPDIR/.env"
    row 2 variables/hello
    says "line 1"
    says "column"
}

@test "a name Key Vault cannot have" {
    VAULT_URL=https://localhost:1 dot_env
    row 2 variables/with.dot
    says "'.'"
}

@test "a misspelled kwarg" {
    dot_env variable_prefix airflow-variables
    row 0 variables/hello
    says variable_prefix
}
