#!/usr/bin/env bats
# Every verb of the program against a real dev vault.

load support

setup_file() {
    load support
    clean_environment
    printf '{"dev": {"hello": "world", "db-pass": {"value": "pw", "tags": {"a": "1"}}}}' \
        >"$BATS_FILE_TMPDIR/seed.json"
    start_vault dev --seed "$BATS_FILE_TMPDIR/seed.json"
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

@test "get writes the value and nothing else" {
    expect 0 get hello
    printf world | cmp - "$BATS_TEST_TMPDIR/stdout"
    [ -z "$stderr" ]
}

@test "get --json shows metadata and the value" {
    expect 0 get db-pass --json
    [ "$(field value <"$BATS_TEST_TMPDIR/stdout")" = pw ]
    [ "$(field key <"$BATS_TEST_TMPDIR/stdout")" = db-pass ]
    prints '"enabled": true'
    prints '"a": "1"'
}

@test "values of every kind come back byte for byte" {
    printf 'a\0b\0' >"$BATS_TEST_TMPDIR/nul"
    printf 'one\ntwo\r\n\n' >"$BATS_TEST_TMPDIR/newline"
    head -c 25600 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/longest"
    printf 'gr\303\274n \360\237\224\221 "\134' >"$BATS_TEST_TMPDIR/text"
    local kind
    for kind in nul newline longest text; do
        expect 0 put "kind-$kind" --from-file "$BATS_TEST_TMPDIR/$kind"
        expect 0 get "kind-$kind"
        cmp "$BATS_TEST_TMPDIR/$kind" "$BATS_TEST_TMPDIR/stdout"
    done
}

@test "bytes that are not UTF-8 come from the environment as they are" {
    cat >"$BATS_TEST_TMPDIR/p.lua" <<'LUA'
local ml = require "moonlatch.policy"
return ml.policy { ml.rule "*" { from = { ml.environment {} } } }
LUA
    ODD=$(printf '\377\376x') expect 0 get ODD --policy "$BATS_TEST_TMPDIR/p.lua"
    printf '\377\376x' | cmp - "$BATS_TEST_TMPDIR/stdout"
    ODD=$(printf '\377\376x') expect 0 get ODD --json --policy "$BATS_TEST_TMPDIR/p.lua"
    [ "$(field value_base64 <"$BATS_TEST_TMPDIR/stdout")" = "//54" ]
}

@test "put refuses 25,601 bytes and bytes that are not text, before the network" {
    head -c 25601 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/v"
    VAULT_URL=https://localhost:1 expect 2 put too-long --from-file "$BATS_TEST_TMPDIR/v"
    says "25600 bytes"
    head -c 40000000 /dev/zero >"$BATS_TEST_TMPDIR/v"
    expect 2 put too-long <"$BATS_TEST_TMPDIR/v"
    says "25600 bytes"
    expect 2 put too-long --from-file "$BATS_TEST_TMPDIR/v"
    says "25600 bytes"
    head -c 25600 /dev/zero | tr '\0' x >"$BATS_TEST_TMPDIR/v"
    expect 0 put longest-stdin <"$BATS_TEST_TMPDIR/v"
    printf '\377' >"$BATS_TEST_TMPDIR/v"
    VAULT_URL=https://localhost:1 expect 2 put odd --from-file "$BATS_TEST_TMPDIR/v"
    says UTF-8
}

@test "put refuses a value in the command line and does not repeat it" {
    expect 2 put name canary-in-argv
    unsaid canary
    says "< FILE"
}

@test "put keeps tags and content type, unless told to replace them" {
    printf v1 | store keep
    printf v1 | ml put keep --tag team=a --content-type text/plain 2>/dev/null
    printf v2 | store keep
    expect 0 get keep --json
    prints '"team": "a"'
    prints 'text/plain'
    printf v3 | ml put keep --replace-metadata 2>/dev/null
    expect 0 get keep --json
    unprinted team
}

@test "put says that an empty value was stored" {
    expect 0 put empty-one </dev/null
    says 'the value of empty-one is empty'
    expect 0 get empty-one
    [ ! -s "$BATS_TEST_TMPDIR/stdout" ]
}

@test "put says where, and that a newline was stored" {
    printf 'v\n' >"$BATS_TEST_TMPDIR/v"
    expect 0 put said <"$BATS_TEST_TMPDIR/v"
    says "stored said in "
    says "newline"
    [ -z "$output" ]
}

@test "versions, and get of an old one" {
    printf one | store many
    printf two | store many
    expect 0 versions many
    [ "$(wc -l <"$BATS_TEST_TMPDIR/stdout")" -eq 2 ]
    local old _
    while read -r old _; do
        ml get many --version "$old" </dev/null
    done <"$BATS_TEST_TMPDIR/stdout" | grep -qE '^(onetwo|twoone)$'
    expect 0 versions many --json
    prints '"version"'
    unprinted one
}

@test "versions of what is not there: 3" {
    expect 3 versions no-such-name
    [ -z "$output" ]
    says no-such-name
}

@test "on a ladder, messages name the steps that were not touched" {
    cat >"$BATS_TEST_TMPDIR/p.lua" <<'LUA'
local ml = require "moonlatch.policy"
local kv = ml.azure_key_vault { vault_url = ml.env "VAULT_URL" }
return ml.policy { ml.rule "*" { prefix = { "first-", "db-" }, from = { kv } } }
LUA
    expect 0 get pass --policy "$BATS_TEST_TMPDIR/p.lua"
    local verb
    for verb in "update --tag a=b" "delete --yes" versions "backup --output /dev/null/x"; do
        # shellcheck disable=SC2086
        expect 3 $verb pass --policy "$BATS_TEST_TMPDIR/p.lua"
        says "first-pass; not touched: localhost:db-pass"
    done
}

@test "update disables, get says so, update enables" {
    printf v | store switch
    expect 0 update switch --disable
    expect 4 get switch
    says disabled
    printf w >"$BATS_TEST_TMPDIR/v"
    expect 4 put switch --from-file "$BATS_TEST_TMPDIR/v"
    says "moonlatch put switch --replace-metadata"
    expect 0 update switch --enable --expires 2099-01-31 --tag x=y
    expect 0 get switch --json
    prints 2099-01-31T00:00:00Z
    prints '"x": "y"'
    expect 2 update switch
}

@test "list prints names, never values" {
    expect 0 list
    prints hello
    unprinted world
    expect 0 list 'db-*'
    [ "$output" = db-pass ]
    expect 0 list --json
    prints '"key": "db-pass"'
}

@test "delete, the deleted answer, recover, purge" {
    printf v | store gone
    expect 2 delete gone
    says --yes
    expect 0 delete gone --yes
    says soft-deleted
    expect 4 get gone
    says soft-deleted
    says "moonlatch recover gone"
    expect 0 explain gone
    says "gone is soft-deleted"
    expect 0 explain gone --json
    says "moonlatch recover gone"
    expect 0 explain gone --plan-only
    [ -z "$stderr" ]
    expect 0 list --deleted
    prints gone
    printf v >"$BATS_TEST_TMPDIR/v"
    expect 8 put gone --from-file "$BATS_TEST_TMPDIR/v"
    expect 0 recover gone
    expect 0 get gone
    [ "$output" = v ]
    expect 0 delete gone --yes
    expect 0 purge gone --yes
    expect 3 get gone
    expect 3 recover gone
}

@test "delete asks on a terminal and takes no for an answer" {
    needs_terminals
    printf v | store asked
    # script(1) gives the program a terminal.
    run timeout 20 script -qec "'$ML' delete asked" /dev/null < <(sleep 1; echo n)
    [ "$status" -eq 1 ]
    [[ $output == *"asked"*"[y/N]"* ]]
    expect 0 get asked
}

@test "put asks without echo and shows where before" {
    needs_terminals
    run timeout 20 script -qec "'$ML' put typed" /dev/null < <(sleep 1; echo canary-typed)
    [ "$status" -eq 0 ]
    [[ $output == *":typed"* ]]
    unprinted canary-typed
    expect 0 get typed
    [ "$output" = canary-typed ]
}

@test "get ends the line on a terminal" {
    needs_terminals
    run timeout 20 script -qec "'$ML' get hello" /dev/null </dev/null
    [[ $output == world* ]]
}

@test "backup and restore" {
    printf v | store saved
    expect 0 backup saved --output "$BATS_TEST_TMPDIR/blob"
    [ "$(stat -c %a "$BATS_TEST_TMPDIR/blob")" = 600 ]
    expect 1 backup saved --output "$BATS_TEST_TMPDIR/blob"
    expect 0 delete saved --yes
    expect 0 purge saved --yes
    expect 0 restore saved --from-file "$BATS_TEST_TMPDIR/blob"
    expect 0 get saved
    [ "$output" = v ]
    expect 8 restore saved --from-file "$BATS_TEST_TMPDIR/blob"
}

@test "explain shows the way and not the value; --plan-only needs no network" {
    expect 0 explain hello
    prints hello
    unprinted world
    expect 0 explain hello --json
    python3 -m json.tool <"$BATS_TEST_TMPDIR/stdout" >/dev/null
    VAULT_URL=https://localhost:1 expect 0 explain hello --plan-only
    prints hello
}

@test "a missing name ends with 3" {
    expect 3 get no-such-name
    [ -z "$output" ]
    says no-such-name
}

@test "context reaches the policy, and a missing one is named" {
    cat >"$BATS_TEST_TMPDIR/p.lua" <<'LUA'
local ml = require "moonlatch.policy"
local kv = ml.azure_key_vault { vault_url = ml.env "VAULT_URL" }
return ml.policy { ml.rule "*" { prefix = { "{team}-" }, from = { kv } } }
LUA
    expect 0 get pass --policy "$BATS_TEST_TMPDIR/p.lua" --context team=db
    [ "$output" = pw ]
    ml get pass --policy "$BATS_TEST_TMPDIR/p.lua" 2>"$BATS_TEST_TMPDIR/err" && false
    grep -q team "$BATS_TEST_TMPDIR/err"
}

@test "version, help and completion need no policy" {
    unset MOONLATCH_POLICY
    expect 0 version
    prints "moonlatch 0."
    prints "libcurl "
    expect 0 help
    prints dev-vault
    expect 0 get --help
    prints "Usage: moonlatch get"
    local shell
    for shell in bash zsh fish; do
        expect 0 completion "$shell"
        prints dev-vault
    done
    ml completion bash | bash -n
}

# completes WORD... : what bash offers for the last word.
completes() {
    bash -c 'source /dev/stdin; COMP_WORDS=(moonlatch "$@"); COMP_CWORD=$#
        _moonlatch; echo "${COMPREPLY[*]}"' - "$@" < <(ml completion bash)
}

@test "bash completes verbs and flags" {
    [ "$(completes ex)" = explain ]
    [ "$(completes get --rev)" = --reveal ]
    [ "$(completes get --color al)" = always ]
    [ "$(completes help exp)" = explain ]
    [ "$(completes completion z)" = zsh ]
    [ "$(completes get --policy airf)" = airflow ]
}

@test "zsh takes its script, from a file of fpath and sourced" {
    mkdir "$BATS_TEST_TMPDIR/functions"
    ml completion zsh >"$BATS_TEST_TMPDIR/functions/_moonlatch"
    zsh -n "$BATS_TEST_TMPDIR/functions/_moonlatch"
    # shellcheck disable=SC2016  # for zsh
    run zsh -fc 'cd "$1"; autoload -Uz compinit; compinit -u -D; source functions/_moonlatch
        print -r -- $_comps[moonlatch]
        unset "_comps[moonlatch]"; fpath=("$PWD/functions" $fpath); compinit -u -D
        print -r -- $_comps[moonlatch]' - "$BATS_TEST_TMPDIR"
    [ "$output" = $'_moonlatch\n_moonlatch' ]
}

# fish_completes LINE : the words that fish offers for its end.
fish_completes() {
    ml completion fish >"$BATS_TEST_TMPDIR/moonlatch.fish"
    # shellcheck disable=SC2016  # for fish
    fish --no-config -c 'source $argv[1]; complete -C $argv[2]' \
        "$BATS_TEST_TMPDIR/moonlatch.fish" "$1" | cut -f 1
}

@test "fish completes verbs, flags and arguments" {
    [ "$(fish_completes 'moonlatch ex')" = explain ]
    [ "$(fish_completes 'moonlatch get --rev')" = --reveal ]
    [ "$(fish_completes 'moonlatch help exp')" = explain ]
    [ "$(fish_completes 'moonlatch completion z')" = zsh ]
}

@test "no file of the current directory becomes code or policy" {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p moonlatch/commands
    echo 'print "canary ran"' | tee argparse.lua moonlatch/policy.lua policy.lua \
        moonlatch/commands/get.lua >/dev/null
    LUA_PATH="./?.lua" LUA_INIT='print "canary ran"' expect 0 get hello
    [ "$output" = world ]
    unset MOONLATCH_POLICY
    expect 7 get hello
    unprinted canary
}

@test "-v says which step answered" {
    expect 0 get hello -v
    [ "$output" = world ]
    says "hello: step 1 of 1, localhost:hello: found"
    unsaid world
    expect 3 get nothing -v
    says "localhost:nothing: missing"
}

@test "logs are on stderr, as text or JSON" {
    expect 0 get hello -vv
    [ "$output" = world ]
    says http
    expect 0 get hello -vv --log-format json
    [ "$output" = world ]
    while read -r line; do python3 -m json.tool <<<"$line" >/dev/null; done <<<"$stderr"
}

@test "a reader that leaves ends list quietly" {
    ml list -v 2>"$BATS_TEST_TMPDIR/err" | true
    [ "$(grep -c 'stdout' "$BATS_TEST_TMPDIR/err")" -eq 0 ]
}
