# support.bash - the real program against servers of this test's own.  Each file starts
# what it needs in setup_file and kills it, by process id, in teardown_file.
# shellcheck shell=bash

ML=${MOONLATCH:?the path of the program}

# For every run: nothing of the person who runs the tests.
clean_environment() {
    local name
    for name in $(compgen -e | grep -E '^(AZURE_|AIRFLOW_|MOONLATCH_|XDG_|SSL_CERT)'); do
        unset "$name"
    done
    unset NO_COLOR CLICOLOR_FORCE HTTPS_PROXY https_proxy ALL_PROXY all_proxy
    export HOME=$BATS_FILE_TMPDIR
    export MOONLATCH=$ML
}

# ml ARGS... : the program, never for more than 20 seconds.
ml() {
    timeout 20 "$ML" "$@" 3>&-
}

# started NAME : waits until the first line of $BATS_FILE_TMPDIR/NAME.out is there.
started() {
    for _ in $(seq 200); do
        grep -q . "$BATS_FILE_TMPDIR/$1.out" 2>/dev/null && return 0
        kill -0 "$(cat "$BATS_FILE_TMPDIR/$1.pid")" 2>/dev/null || break
        sleep 0.05
    done
    echo "$1 did not start:" >&2
    cat "$BATS_FILE_TMPDIR/$1.err" >&2
    return 1
}

# start_vault NAME [FLAGS...] : a dev vault; its state in $BATS_FILE_TMPDIR/NAME.
start_vault() {
    local name=$1 dir=$BATS_FILE_TMPDIR/$1
    shift
    timeout 300 "$ML" dev-vault --state-dir "$dir" "$@" \
        >"$dir.out" 2>"$dir.err" 3>&- &
    echo $! >"$dir.pid"
    started "$name"
}

# use_vault NAME : AZURE_*, SSL_CERT_FILE and VAULT_URL of a dev vault.
use_vault() {
    eval "$("$ML" dev-vault --print-env "$BATS_FILE_TMPDIR/$1" 3>&-)"
    VAULT_URL=$(field vault_url <"$BATS_FILE_TMPDIR/$1.out")
    export VAULT_URL
    unset AIRFLOW__SECRETS__BACKEND_KWARGS
}

# field NAME : a text of one line of JSON on stdin.
field() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# kwargs [KEY VALUE]... : the JSON of Airflow's backend, with this vault's URL.
kwargs() {
    python3 -c 'import json, sys; a = sys.argv[1:]
print(json.dumps(dict(zip(a[::2], a[1::2]))))' vault_url "$VAULT_URL" "$@"
}

start_fake() {
    local dir=$BATS_FILE_TMPDIR/fake
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -keyout "$dir.key" -out "$dir.pem" -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
    python3 "$BATS_TEST_DIRNAME/fake_service.py" "$dir.pem" "$dir.key" \
        >"$dir.out" 2>"$dir.err" 3>&- &
    echo $! >"$dir.pid"
    started fake
}

use_fake() {
    local port
    port=$(cat "$BATS_FILE_TMPDIR/fake.out")
    export VAULT_URL=https://localhost:$port AZURE_AUTHORITY_HOST=https://localhost:$port
    export AZURE_TENANT_ID=11111111-1111-1111-1111-111111111111
    export AZURE_CLIENT_ID=22222222-2222-2222-2222-222222222222
    export AZURE_CLIENT_SECRET=canary-client-secret-9a3
    export SSL_CERT_FILE=$BATS_FILE_TMPDIR/fake.pem
}

stop_all() {
    local file pid
    for file in "$BATS_FILE_TMPDIR"/*.pid; do
        pid=$(cat "$file")
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        rm -f "$file"
    done
}

# One Key Vault, every name as it is.
write_policy() {
    export MOONLATCH_POLICY=$BATS_FILE_TMPDIR/policy.lua
    cat >"$MOONLATCH_POLICY" <<'LUA'
local ml = require "moonlatch.policy"
local kv = ml.azure_key_vault { vault_url = ml.env "VAULT_URL" }
return ml.policy { ml.rule "**" { from = { kv } } }
LUA
}

# expect CODE ARGS... : runs the program; $output is stdout, $stderr the messages.
expect() {
    local code=$1
    shift
    status=0
    ml "$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
    output=$(tr -d '\0' <"$BATS_TEST_TMPDIR/stdout")
    stderr=$(cat "$BATS_TEST_TMPDIR/stderr")
    if [ "$status" -ne "$code" ]; then
        printf 'moonlatch %s\nexit %s, expected %s\n%s\n%s\n' "$*" "$status" "$code" \
            "$output" "$stderr"
        return 1
    fi
}

# says WORDS : the messages hold it.  prints WORDS : stdout does.
says() {
    [[ $stderr == *"$1"* ]] || { printf 'not said: %s\nbut: %s\n' "$1" "$stderr"; return 1; }
}

prints() {
    [[ $output == *"$1"* ]] || { printf 'not printed: %s\nbut: %s\n' "$1" "$output"; return 1; }
}

unsaid() {
    [[ $stderr != *"$1"* ]] || { printf 'said %s: %s\n' "$1" "$stderr"; return 1; }
}

unprinted() {
    [[ $output != *"$1"* ]] || { printf 'printed %s: %s\n' "$1" "$output"; return 1; }
}

# store NAME : stdin becomes its value.
store() {
    ml put "$1" 2>/dev/null
}

# A bare chroot may have no /dev/pts: said by name, not passed over.
needs_terminals() {
    python3 -c 'import pty; pty.openpty()' 2>/dev/null ||
        skip "no pseudo-terminals here: mount devpts"
}
