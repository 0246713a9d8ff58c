#!/usr/bin/env bash
# cli.bash - our command line against a Key Vault that somebody else may have built.
#
#   cli.bash LABEL PROGRAM
#
# LABEL is dev-vault or lowkey: where the two differ from each other, the check says so.
# INTEROP_VAULT_URL names the vault, AZURE_* the identity, SSL_CERT_FILE the trust.
# Prints `ok - LABEL: ...` or `not ok - LABEL: ...: reason`, one line a check.
# shellcheck disable=SC2317  # the checks are called by name, through check
set -uo pipefail

LABEL=$1
PROGRAM=$2
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT
reason=

moonlatch() { timeout 30 "$PROGRAM" "$@" 2>"$WORK/stderr"; }

# The verb first, flags after it, names last.
run() {
    local verb=$1
    shift
    moonlatch "$verb" --policy "$HERE/policy.lua" "$@"
}

put() { printf '%s' "$2" | run put "$1"; }

# same WHAT GOT WANT
same() {
    [[ $2 == "$3" ]] && return
    reason="$1: got '$2', want '$3'; stderr: $(tr '\n' ' ' <"$WORK/stderr")"
    return 1
}

# exits CODE COMMAND...
exits() {
    local want=$1 got=0
    shift
    "$@" >"$WORK/stdout" || got=$?
    same "exit code of '${*:1:2}'" "$got" "$want"
}

# is NAME VALUE: get answers exactly these bytes.
is() {
    local got=0
    run get "$1" >"$WORK/value" || got=$?
    same "exit code of 'get $1'" "$got" 0 || return
    printf '%s' "$2" | cmp -s - "$WORK/value" && return
    reason="get $1: other bytes than were put"
    return 1
}

lists() { run list >"$WORK/names" && grep -q -w -F -e "$1" "$WORK/names"; }

check_put_get() {
    exits 0 put cli-full $'välue\n€ line 2\n' && is cli-full $'välue\n€ line 2\n'
}
check_missing() { exits 3 run get cli-no-such; }

check_list() {
    local i
    for i in {10..39}; do
        exits 0 put "cli-list-$i" "v$i" || return
    done
    run list >"$WORK/names" || return
    same "cli-list-* listed" "$(grep -o 'cli-list-[0-9]*' "$WORK/names" | sort -u | wc -l)" 30
}

check_versions() {
    local v
    for v in one two three; do exits 0 put cli-versions "$v" || return; done
    exits 0 run versions cli-versions || return
    same "versions" "$(grep -o -w '[0-9a-f]\{32\}' "$WORK/stdout" | sort -u | wc -l)" 3 &&
        is cli-versions three
}

check_delete_recover() {
    exits 0 put cli-delete "comes back" &&
        exits 0 run delete --yes cli-delete &&
        exits 4 run get cli-delete || return
    if lists cli-delete; then
        reason="a deleted secret is listed"
        return 1
    fi
    exits 0 run recover cli-delete && is cli-delete "comes back"
}

check_conflict() {
    exits 0 put cli-taken "old" && exits 0 run delete --yes cli-taken &&
        exits 8 put cli-taken "new"
}

check_purge() {
    exits 0 put cli-purge "first" &&
        exits 0 run delete --yes cli-purge &&
        exits 0 run purge --yes cli-purge &&
        exits 3 run recover cli-purge &&
        exits 0 put cli-purge "second" && is cli-purge "second"
}

check_disabled() {
    local want=4
    [[ $LABEL == lowkey ]] && want=3 # answers 404 where the service says 403
    exits 0 put cli-disabled "hidden" &&
        exits 0 run update --disable cli-disabled &&
        exits "$want" run get cli-disabled &&
        exits 0 run update --enable cli-disabled && is cli-disabled "hidden"
}

check_backup() {
    exits 0 put cli-backup "saved" &&
        exits 0 run backup cli-backup || return
    cp "$WORK/stdout" "$WORK/blob"
    exits 0 run delete --yes cli-backup &&
        exits 0 run purge --yes cli-backup &&
        exits 0 run restore cli-backup <"$WORK/blob" && is cli-backup "saved"
}

check_empty() {
    local got=0
    put cli-empty "" || got=$?
    if [[ $LABEL == lowkey ]]; then
        same "refused" "$((got != 0))" 1 # answers 400 where the service takes it
    else
        same "exit code" "$got" 0 && is cli-empty ""
    fi
}

check() {
    local title=$1
    shift
    reason="$title failed"
    : >"$WORK/stderr"
    if "$@"; then
        printf 'ok - %s: %s\n' "$LABEL" "$title"
    else
        failed=1
        printf 'not ok - %s: %s: %s\n' "$LABEL" "$title" "$reason"
    fi
}

failed=0
check "put and get, byte for byte" check_put_get
check "a missing secret exits 3" check_missing
check "list 30 names over pages" check_list
check "versions" check_versions
check "delete and recover" check_delete_recover
[[ $LABEL == lowkey ]] || check "put over a deleted one exits 8" check_conflict
check "purge frees the name" check_purge
check "disabled" check_disabled
check "backup and restore" check_backup
check "the empty value" check_empty
exit "$failed"
