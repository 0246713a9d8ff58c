# shellcheck shell=bash
# gofake.bash - how scripts/interop builds and starts gofake: Key Vault's protocol as
# Microsoft's SDK for Go has it (see gofake/main.go). Sourced. Debian 12's Go is too old to
# build it, and so is not installed for it.
# shellcheck disable=SC2154  # work and pids are set by scripts/interop
GOFAKE_GO=1.23 # what its modules need
GOFAKE_READY_S=20

# has_go: one that is new enough.
has_go() {
    local version
    version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
    [[ $(printf '%s\n' "$GOFAKE_GO" "${version#go}" | sort -V | head -n 1) == "$GOFAKE_GO" ]]
}

# fetch_gofake SOURCES PROGRAM: downloads the modules of its go.sum, and builds.
fetch_gofake() {
    local partial
    partial=$(mktemp "$2.XXXXXX")
    GOTOOLCHAIN=local bounded go build -C "$1" -trimpath -o "$partial" . && mv "$partial" "$2"
    local rc=$?
    rm -f "$partial"
    return "$rc"
}

# start_gofake PROGRAM AUTHORITY: sets gofake_port (for scripts/interop); its certificate is $work/gofake.pem.
start_gofake() {
    local end=$((SECONDS + GOFAKE_READY_S)) certificate=$work/gofake.pem key=$work/gofake.key
    quietly "$work/gofake.log" openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout "$key" -out "$certificate" || return 1
    GOFAKE_AUTHORITY=$2 dies_with_us "$1" "$certificate" "$key" \
        >"$work/gofake.port" 2>"$work/gofake.log" </dev/null &
    pids+=($!)
    until [[ -s $work/gofake.port ]]; do
        kill -0 "${pids[-1]}" 2>/dev/null && ((SECONDS < end)) || return 1
        sleep 0.1
    done
    # shellcheck disable=SC2034
    gofake_port=$(<"$work/gofake.port")
}
