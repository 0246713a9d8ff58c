# shellcheck shell=bash
# peers.bash - the same gets by others' clients, when scripts/interop has installed them:
# Azure SDKs for Python, JavaScript and Go, and Airflow's backend. For scripts/bench. Sourced.
# shellcheck disable=SC2154  # work, BUILD and vault_port are set by scripts/bench
# shellcheck source=tests/interop/fetch.bash
. "$ROOT/tests/interop/fetch.bash"
PEERS=$ROOT/tests/bench/peers

# peer COMMAND...: one after the other over one connection, as these clients are used.
peer() {
    local trust=("REQUESTS_CA_BUNDLE=$SSL_CERT_FILE" "NODE_EXTRA_CA_CERTS=$SSL_CERT_FILE")
    env "${trust[@]}" "AIRFLOW_HOME=$work/airflow" timeout "$ONE_S" "$@" "$peer_gets" \
        >>"$work/samples" 2>"$work/peer.log" && return
    warn "no row for ${*##*/}: $(tail -n 1 "$work/peer.log")"
}

# Each brings its row with it; the report leaves out what is not there.
measure_peers() {
    local python airflow javascript
    python=$(python_dir python "$ROOT/tests/interop/python/requirements.txt")
    airflow=$(python_dir airflow "$ROOT/tests/interop/airflow/requirements.txt")
    javascript=$(javascript_dir)
    [[ ! -e $python/complete ]] || peer "$python/bin/python3" -B "$PEERS/peer.py" sdk
    [[ ! -e $airflow/complete ]] || peer "$airflow/bin/python3" -B "$PEERS/peer.py" airflow
    if [[ -e $javascript/complete ]]; then
        NODE_PATH=$javascript/node_modules peer node "$PEERS/peer.js"
    fi
    if GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=readonly \
        go build -C "$PEERS/go" -o "$work/peer_go" . 2>"$work/go.log"; then
        peer "$work/peer_go"
    fi
}
