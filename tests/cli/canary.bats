#!/usr/bin/env bats
# A marker value, client secret and token go through every path at the loudest log level;
# none of them may be in a message, and a value only where `get` was asked for it.

load support

setup_file() {
    load support
    clean_environment
    printf '{"dev": {"marked": "canary-value-5f", "off": {"value": "canary-value-off", "attributes": {"enabled": false}}}}' \
        >"$BATS_FILE_TMPDIR/seed.json"
    start_vault dev --seed "$BATS_FILE_TMPDIR/seed.json" --client-secret canary-client-b2
    start_vault broken --seed "$BATS_FILE_TMPDIR/seed.json" --client-secret canary-client-b2 \
        --fault truncate:0.5 --fault 503:0.3
    start_fake
}

teardown_file() {
    load support
    stop_all
}

setup() {
    clean_environment
    use_vault dev
    write_policy
}

# loud ARGS... : at full volume, messages to one file for all; any exit code will do.
loud() {
    ml "$@" -vvv --timeout 3s >>"$BATS_TEST_TMPDIR/out" 2>>"$BATS_TEST_TMPDIR/err" || true
    ml "$@" -vvv --timeout 3s --log-format json >>"$BATS_TEST_TMPDIR/out" \
        2>>"$BATS_TEST_TMPDIR/err" </dev/null || true
}

# A token of the dev vault is a JWT, which begins with eyJ.
no_canary() {
    [ -s "$1" ] || return 1
    if grep -anE 'canary|eyJ' "$1"; then return 1; fi
}

@test "messages hold no value, token or client secret" {
    local name
    for name in marked off missing bad_name; do loud get "$name"; done
    loud get marked --json
    : >"$BATS_TEST_TMPDIR/out" # get was asked for values; nothing below is
    loud explain marked
    loud explain marked --json
    loud list
    loud list --json
    loud versions marked --json
    printf canary-value-put | loud put other
    loud put other canary-in-argv
    loud put other -canary-in-argv
    loud update other --tag a=b
    loud delete other --yes
    loud list --deleted
    loud get other
    loud recover other
    loud delete other --yes
    loud purge other --yes
    loud backup marked --output "$BATS_TEST_TMPDIR/blob"
    loud restore marked --from-file "$BATS_TEST_TMPDIR/blob"
    AZURE_CLIENT_SECRET=canary-wrong-secret loud explain marked
    AZURE_TENANT_ID=99999999-9999-9999-9999-999999999999 loud explain marked
    no_canary "$BATS_TEST_TMPDIR/out"
    no_canary "$BATS_TEST_TMPDIR/err"
}

@test "nor when the service misbehaves" {
    local name
    use_vault broken
    for name in 1 2 3; do loud explain marked; done
    use_fake
    for name in html text cut-json cut-body wrong-type deep forbidden throttled; do
        loud explain "$name"
    done
    no_canary "$BATS_TEST_TMPDIR/out"
    no_canary "$BATS_TEST_TMPDIR/err"
}

@test "nor through the airflow policy" {
    AIRFLOW__SECRETS__BACKEND_KWARGS=$(kwargs client_secret canary-kwarg surprise canary-kwarg)
    export AIRFLOW__SECRETS__BACKEND_KWARGS
    unset MOONLATCH_POLICY
    loud explain variables/marked
    loud explain connections/marked
    AIRFLOW__SECRETS__BACKEND_KWARGS='{"client_secret": "canary-kwarg"' loud list
    no_canary "$BATS_TEST_TMPDIR/err"
    printf 'A="canary-env\nB\n' >"$BATS_TEST_TMPDIR/.env"
    loud list --env-file "$BATS_TEST_TMPDIR/.env"
    no_canary "$BATS_TEST_TMPDIR/err"
}

@test "a crash leaves no core file" {
    cd "$BATS_TEST_TMPDIR"
    ulimit -c unlimited 2>/dev/null || true
    mkfifo gate
    timeout 20 "$ML" put x --from-file gate 2>/dev/null 3>&- &
    local outer=$! inner
    for _ in $(seq 100); do
        inner=$(pgrep -P "$outer" || true)
        [ -n "$inner" ] && grep -q '^Max core file size *0 ' "/proc/$inner/limits" && break
        sleep 0.05
    done
    grep -q '^Max core file size *0 ' "/proc/$inner/limits"
    kill -SEGV "$inner"
    wait "$outer" || true
    [ -z "$(find . -name 'core*')" ]
}
