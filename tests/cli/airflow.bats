#!/usr/bin/env bats
# --policy airflow, --env-file, and connections.

load support

URI='postgres://user:canary-pw@db.example:5432/shop?sslkey=canary-extra'

setup_file() {
    load support
    clean_environment
    python3 - "$BATS_FILE_TMPDIR/seed.json" "$URI" <<'PY'
import json, sys
json.dump({"dev": {"airflow-variables-hello": "world", "airflow-connections-shop": sys.argv[2],
                   "airflow-connections-odd": "canary://a://b://c"}}, open(sys.argv[1], "w"))
PY
    start_vault dev --seed "$BATS_FILE_TMPDIR/seed.json"
}

teardown_file() {
    load support
    stop_all
}

setup() {
    clean_environment
    use_vault dev
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(kwargs)
    export AIRFLOW__SECRETS__BACKEND_KWARGS
}

@test "the backend's kwargs alone choose the airflow policy" {
    expect 0 get airflow/variables/hello
    [ "$output" = world ]
    expect 0 get variables/hello
    [ "$output" = world ]
    expect 0 get connections/shop
    [ "$output" = "$URI" ]
    expect 3 get variables/nothing
}

@test "kwargs in variables of their own choose the airflow policy, and win" {
    unset AIRFLOW__SECRETS__BACKEND_KWARGS
    AIRFLOW__SECRETS__BACKEND_KWARG__VAULT_URL=$VAULT_URL expect 0 get variables/hello
    [ "$output" = world ]
    printf 'AIRFLOW__SECRETS__BACKEND_KWARG__VAULT_URL=%s\n' "$VAULT_URL" >"$BATS_TEST_TMPDIR/.env"
    expect 0 get variables/hello --env-file "$BATS_TEST_TMPDIR/.env"
    [ "$output" = world ]
    expect 7 get variables/hello
    says 'AIRFLOW__SECRETS__BACKEND_KWARG__*'
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(kwargs variables_prefix other)
    export AIRFLOW__SECRETS__BACKEND_KWARGS
    expect 3 get variables/hello
    says other-hello
    AIRFLOW__SECRETS__BACKEND_KWARG__VARIABLES_PREFIX=airflow-variables \
        expect 0 get variables/hello
    [ "$output" = world ]
}

@test "a prefix that is null switches a kind off; sep joins and replaces" {
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(printf '{"vault_url": "%s", "variables_prefix": null}' \
        "$VAULT_URL")
    export AIRFLOW__SECRETS__BACKEND_KWARGS
    expect 3 get variables/hello
    says "variables_prefix is null"
    expect 0 get connections/shop
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(kwargs variables_prefix airflow_variables sep -)
    expect 0 get variables/hello
    [ "$output" = world ]
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(kwargs variables_prefix air sep --)
    expect 3 get variables/a_b
    says air--a--b
}

@test "an env file gives the kwargs, and shadows the environment" {
    printf '# as the page says\nexport AIRFLOW__SECRETS__BACKEND_KWARGS={"vault_url": "%s"}\n' \
        "$VAULT_URL" >"$BATS_TEST_TMPDIR/.env"
    AIRFLOW__SECRETS__BACKEND_KWARGS='{"vault_url": "https://localhost:1"}' \
        expect 0 get variables/hello --policy airflow --env-file "$BATS_TEST_TMPDIR/.env"
    [ "$output" = world ]
    expect 2 get variables/hello --env-file "$BATS_TEST_TMPDIR/none"
    says "$BATS_TEST_TMPDIR/none"
}

@test "an odd line of an env file costs its own variable only" {
    # shellcheck disable=SC2016  # ${canary} is for the file, not for this shell
    printf '%s\n' "PS1='canary" 'X=1' 'X=2' 'EXTRA' 'TITLE=${canary}' \
        "AIRFLOW__SECRETS__BACKEND_KWARGS={\"vault_url\": \"$VAULT_URL\"}" \
        >"$BATS_TEST_TMPDIR/.env"
    unset AIRFLOW__SECRETS__BACKEND_KWARGS
    expect 0 get variables/hello --env-file "$BATS_TEST_TMPDIR/.env"
    [ "$output" = world ]
    says ".env:1: PS1: the single quote of its value"
    says ".env:3: X: it is there twice"
    says ".env:5: TITLE: "
    unsaid canary
    unsaid EXTRA
    echo 'AZURE_CLIENT_ID="canary' >>"$BATS_TEST_TMPDIR/.env"
    expect 2 get variables/hello --env-file "$BATS_TEST_TMPDIR/.env"
    says ".env:7: AZURE_CLIENT_ID: the double quote"
    unsaid canary
}

@test "of several env files the last wins, variable by variable" {
    unset AIRFLOW__SECRETS__BACKEND_KWARGS
    printf 'A=old\nB=1\n' >"$BATS_TEST_TMPDIR/one"
    printf 'A=new\n' >"$BATS_TEST_TMPDIR/two"
    cat >"$BATS_TEST_TMPDIR/p.lua" <<'LUA'
local ml = require "moonlatch.policy"
return ml.policy { ml.rule "*" { from = ml.environment {} } }
LUA
    expect 0 get A --policy "$BATS_TEST_TMPDIR/p.lua" \
        --env-file "$BATS_TEST_TMPDIR/one" --env-file "$BATS_TEST_TMPDIR/two"
    [ "$output" = new ]
    expect 0 get B --policy "$BATS_TEST_TMPDIR/p.lua" \
        --env-file "$BATS_TEST_TMPDIR/one" --env-file "$BATS_TEST_TMPDIR/two"
    [ "$output" = 1 ]
}

@test "a connection as JSON hides what is secret in it" {
    expect 0 get connections/shop --json
    prints '"host": "db.example"'
    prints '"login": "user"'
    prints '"port": 5432'
    unprinted canary
    expect 0 get airflow/connections/shop --json --reveal
    prints canary-pw
    prints canary-extra
}

@test "a connection hides its secrets under every policy with ml.airflow" {
    cat >"$BATS_TEST_TMPDIR/p.lua" <<'LUA'
local ml = require "moonlatch.policy"
local v = ml.azure_key_vault { vault_url = ml.env "VAULT_URL" }
return ml.policy {
  ml.rule("x/{id}") { prefix = "airflow-connections-", strip = "x/", from = v },
  ml.airflow { from = v, bare_names = true },
}
LUA
    local name
    for name in connections/shop airflow/connections/shop; do
        expect 0 get "$name" --json --policy "$BATS_TEST_TMPDIR/p.lua"
        prints '"host": "db.example"'
        unprinted canary
    done
    expect 0 get variables/hello --json --policy "$BATS_TEST_TMPDIR/p.lua"
    prints '"value": "world"'
}

@test "a connection that cannot be read says so without showing it" {
    expect 0 get connections/odd --json
    prints connection_error
    unprinted canary
    unsaid canary
}

@test "kwargs that are not JSON point at the character and show nothing" {
    AIRFLOW__SECRETS__BACKEND_KWARGS='{"vault_url": "x" "client_secret": "canary"}' \
        expect 2 get variables/hello
    says "column"
    unsaid canary
    unsaid airflow:2
}

@test "unknown kwargs are named in a warning, without -v" {
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(kwargs vault_ulr canary)
    expect 0 get variables/hello
    says vault_ulr
    unsaid canary
}

@test "a name that Key Vault cannot have is refused with the reason" {
    expect 2 get variables/a.b
    says "airflow-variables-a.b"
}

@test "a variable that is asked for as JSON shows its value" {
    expect 0 get variables/hello --json
    prints '"value": "world"'
}
