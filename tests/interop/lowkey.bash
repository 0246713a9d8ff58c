# shellcheck shell=bash
# lowkey.bash - how scripts/interop gets and starts Lowkey Vault, somebody else's double of
# Key Vault (Java). Sourced. The last version that runs on Debian 12's JDK 17.
# shellcheck disable=SC2154  # work is set by scripts/interop
LOWKEY_VERSION=3.4.33
LOWKEY_ARTIFACT=com.github.nagyesta.lowkey-vault:lowkey-vault-app:$LOWKEY_VERSION
LOWKEY_READY_S=120 # a Spring application on a small machine takes its time

# fetch_lowkey JAR: with the machine's own Maven and its settings.
fetch_lowkey() {
    local jar=$1 dir
    dir=$(mktemp -d "$jar.XXXXXX")
    bounded mvn -B -ntp -U dependency:copy "-Dartifact=$LOWKEY_ARTIFACT" "-DoutputDirectory=$dir" &&
        mv "$dir/lowkey-vault-app-$LOWKEY_VERSION.jar" "$jar"
    local rc=$?
    rm -rf "$dir"
    return "$rc"
}

# start_lowkey JAR PORT TOKEN_PORT: leaves its certificate in $work/lowkey.pem.
start_lowkey() {
    local jar=$1 port=$2 token_port=$3 end=$((SECONDS + LOWKEY_READY_S)) pid
    dies_with_us java -Xmx512m -jar "$jar" --server.port="$port" --server.address=127.0.0.1 \
        --app.token.port="$token_port" --LOWKEY_VAULT_NAMES=interop \
        --LOWKEY_VAULT_RELAXED_PORTS=true >"$work/lowkey.log" 2>&1 </dev/null &
    pid=$!
    pids+=("$pid")
    until curl -s --noproxy '*' --max-time 5 -o /dev/null "http://localhost:$token_port/ping"; do
        kill -0 "$pid" 2>/dev/null && ((SECONDS < end)) || return 1
        sleep 0.5
    done
    # Self-signed, made for tests, the same in every copy: loopback may hand it to us.
    openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null |
        openssl x509 >"$work/lowkey.pem"
}
