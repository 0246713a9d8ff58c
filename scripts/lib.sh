# shellcheck shell=bash
# lib.sh - what the scripts share: where things are, how they speak, how they build.
#
# Sourced, never run.  Callers have `set -euo pipefail`.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
export LC_ALL=C.UTF-8
export PATH=$PATH:/usr/sbin:/sbin # nginx lives there
unset CDPATH

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$@"
    exit 1
}

# The comment block at the head of the calling script is its help.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; }

# build DIR [CMAKE OPTION...]: configure and build, quiet unless it goes wrong.
build() {
    local dir=$1
    shift
    configure "$dir" "$@"
    quietly "$dir/build.log" cmake --build "$dir" -j "$JOBS"
}

configure() {
    local dir=$1 ccache=()
    shift
    if command -v ccache >/dev/null; then
        ccache=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    fi
    mkdir -p "$dir"
    quietly "$dir/configure.log" cmake -S "$ROOT" -B "$dir" -G Ninja "${ccache[@]}" "$@"
}

# quietly LOG COMMAND...: the output goes to LOG, and to stderr if the command fails.
quietly() {
    local log=$1 rc=0
    shift
    "$@" >"$log" 2>&1 || rc=$?
    ((rc == 0)) && return
    cat "$log" >&2
    warn "failed ($rc): $*"
    return "$rc"
}

# sources PATTERN...: the project's own files by name pattern, one a line, sorted.
# Works without git: a release archive has none.
sources() {
    local names=() p
    for p in "$@"; do names+=(-o -name "$p"); done
    (cd "$ROOT" && for p in core lua scripts tests .ci; do
        [[ ! -d $p ]] || find "$p" \( -name node_modules -o -name __pycache__ \
            -o -name '.?*' ! -name .ci \) -prune -o -type f \( "${names[@]:1}" \) -print
    done) | sort
}

# Free on loopback at this moment; whoever gets it binds it soon after.
free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# dies_with_us COMMAND...: for servers in the background; even a killed script leaves none.
dies_with_us() { exec setpriv --pdeathsig TERM "$@"; }
