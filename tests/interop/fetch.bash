# shellcheck shell=bash
# fetch.bash - other people's clients, downloaded once and kept: for scripts/interop and
# scripts/bench --peers. Sourced.
INSTALL_S=600 # one download
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/moonlatch-interop
JS=$ROOT/tests/interop/js

bounded() { timeout --kill-after=10 "$INSTALL_S" "$@"; }

# The key of a set of packages: what is cached belongs to these exact versions.
fingerprint() { cat "$@" | sha256sum | cut -c 1-12; }

# python_dir PART REQUIREMENTS: where Python with these packages is, or will be.
python_dir() {
    printf '%s/%s-%s-%s' "$CACHE" "$1" "$(python3 --version | tr -c '0-9.\n' -)" "$(fingerprint "$2")"
}

fetch_python() {
    local dir=$1 requirements=$2
    rm -rf "$dir" &&
        python3 -m venv "$dir" &&
        bounded "$dir/bin/pip" install --no-input -r "$requirements" &&
        touch "$dir/complete"
}

javascript_dir() { printf '%s/javascript-%s' "$CACHE" "$(fingerprint "$JS"/package*.json)"; }

fetch_javascript() {
    local dir=$1
    rm -rf "$dir" &&
        mkdir -p "$dir" &&
        cp "$JS"/package*.json "$dir" &&
        bounded npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund &&
        touch "$dir/complete"
}
