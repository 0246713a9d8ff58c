#!/usr/bin/env bats
# Bad input and failures: the right exit code, a text that names host and cause.

load support

setup_file() {
    load support
    clean_environment
    printf '{"dev": {"hello": "world"}}' >"$BATS_FILE_TMPDIR/seed.json"
    local secret=canary-client-secret-77
    start_vault dev --seed "$BATS_FILE_TMPDIR/seed.json" --client-secret "$secret"
    start_vault slow --seed "$BATS_FILE_TMPDIR/seed.json" --fault 429:1
    start_vault down --seed "$BATS_FILE_TMPDIR/seed.json" --fault 503:1
    start_vault cut --seed "$BATS_FILE_TMPDIR/seed.json" --fault truncate:1
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

policy() {
    cat >"$BATS_TEST_TMPDIR/p.lua"
}

@test "a policy that is not there: 7 and its path" {
    expect 7 get hello --policy /nowhere/p.lua
    says /nowhere/p.lua
}

@test "a directory for shared budgets that cannot be used: 2 and what to try" {
    expect 2 get hello --budget-dir /nowhere
    says 'budget_dir /nowhere does not exist; try mkdir -m 700'
    mkdir -m 777 "$BATS_TEST_TMPDIR/open"
    MOONLATCH_BUDGET_DIR=$BATS_TEST_TMPDIR/open expect 2 get hello
    says 'everybody may replace files in it'
    chmod 700 "$BATS_TEST_TMPDIR/open"
    MOONLATCH_BUDGET_DIR=$BATS_TEST_TMPDIR/open expect 0 get hello
    ls "$BATS_TEST_TMPDIR/open/moonlatch-$(id -u)"-*.budget
}

@test "a policy with a syntax error: 7 with file and line" {
    printf 'local x = 1\nreturn }\n' | policy
    expect 7 get hello --policy "$BATS_TEST_TMPDIR/p.lua"
    says p.lua:2:
}

@test "a policy that returns none: 7 with the file" {
    printf 'local x = 1\n' | policy
    expect 7 get hello --policy "$BATS_TEST_TMPDIR/p.lua"
    says p.lua
    printf 'return 42\n' | policy
    expect 7 get hello --policy "$BATS_TEST_TMPDIR/p.lua"
    says p.lua
}

@test "a policy that fails while it runs: 7 with file and line" {
    cat <<'LUA' | policy
local ml = require "moonlatch.policy"
return ml.policy { ml.rule "*" { map = function() error "broken" end } }
LUA
    expect 7 get hello --policy "$BATS_TEST_TMPDIR/p.lua"
    says p.lua:2
}

@test "no policy anywhere: 7 and where it looked" {
    unset MOONLATCH_POLICY
    expect 7 get hello
    says MOONLATCH_POLICY
    says /etc/moonlatch/policy.lua
    says "$HOME/.config/moonlatch/policy.lua"
}

@test "unknown verbs and flags: 2 and what was meant" {
    expect 2 gett hello
    says "moonlatch get"
    expect 2 get hello --polcy x
    says "--policy"
    expect 2 get
    expect 2 get hello --timeout soon
    says "--timeout"
    expect 2
}

@test "forbidden and disabled: 4" {
    use_fake
    expect 4 get forbidden
    says localhost
    expect 4 get firewall
    expect 4 get disabled
    says disabled
}

@test "429 for ever: 5, naming the host" {
    use_vault slow
    expect 5 get hello --timeout 3s
    says localhost
    says 429
}

@test "503 for ever: 5, naming the host" {
    use_vault down
    expect 5 get hello --timeout 3s
    says localhost
    says 503
}

@test "a host that does not resolve: 5, naming it" {
    use_fake
    VAULT_URL=https://moonlatch-no-such-vault.vault.azure.net expect 5 get hello --timeout 4s
    says moonlatch-no-such-vault.vault.azure.net
}

@test "connection refused: 5, naming host and cause" {
    VAULT_URL=https://localhost:1 AZURE_AUTHORITY_HOST=https://localhost:1 \
        expect 5 get hello --timeout 3s
    says localhost
    says refused
}

@test "a certificate nobody vouches for: 5, naming host and cause" {
    unset SSL_CERT_FILE
    expect 5 get hello --timeout 5s
    says localhost
    says certificate
}

@test "wrong client secret, wrong tenant, expired secret: 6 with a hint" {
    AZURE_CLIENT_SECRET=canary-wrong expect 6 get hello
    says AADSTS7000215
    unsaid canary
    AZURE_TENANT_ID=99999999-9999-9999-9999-999999999999 expect 6 get hello
    says "99999999-9999-9999-9999-999999999999"
    use_fake
    AZURE_CLIENT_ID=lost-client expect 6 get hello
    says AADSTS90002
    AZURE_CLIENT_ID=expired-client expect 6 get hello
    says AADSTS7000222
    says expired
}

@test "half a service principal: an error, not another identity" {
    local name
    for name in AZURE_CLIENT_ID AZURE_TENANT_ID; do
        (
            unset "$name"
            [ -n "$AZURE_CLIENT_SECRET" ]
            expect 2 get hello
            says "$name"
        )
    done
    (
        unset AZURE_CLIENT_SECRET
        ml get hello 2>"$BATS_TEST_TMPDIR/err" && exit 1
        grep -q AZURE_CLIENT_SECRET "$BATS_TEST_TMPDIR/err"
    )
}

@test "answers that are no answer: 1, without their text" {
    use_fake
    local name
    for name in html text empty cut-json no-value wrong-type big deep moved; do
        expect 1 get "$name" --timeout 5s
        [ -z "$output" ]
        unsaid canary
        unsaid hotel
        says localhost
    done
}

@test "answers that are cut off: 1, and nothing on stdout" {
    use_fake
    expect 1 get cut-body --timeout 3s
    [ ! -s "$BATS_TEST_TMPDIR/stdout" ]
    use_vault cut
    expect 1 get hello --timeout 3s
    [ ! -s "$BATS_TEST_TMPDIR/stdout" ]
}

# peak ARGS... : the most memory that the program held, in KiB.
peak() {
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$ML" "$@" 3>&-
}

@test "a big answer does not grow the process" {
    use_fake
    local name usual most
    usual=$(peak get empty)
    for name in big deep; do
        most=$(peak get "$name")
        echo "$name: $usual KiB, then $most KiB"
        [ $((most - usual)) -lt $((32 << 10)) ]
    done
}

@test "vault URLs that cannot be right: 2, before the network" {
    local url
    for url in http://dev.vault.azure.net https://user:canary@dev.vault.azure.net \
        https://dev.vault.azure.net/path https://dev.vault.example.com ftp://x; do
        VAULT_URL=$url expect 2 get hello
        unsaid canary
    done
}

@test "--timeout bounds everything" {
    use_vault slow
    local began=$SECONDS
    expect 5 get hello --timeout 1s
    [ $((SECONDS - began)) -le 3 ]
}

@test "errors as JSON" {
    expect 3 get nope --log-format json
    [ "$(field code <"$BATS_TEST_TMPDIR/stderr")" = missing ]
    [ "$(field exit <"$BATS_TEST_TMPDIR/stderr")" = 3 ]
}

@test "a stdout that is closed is an error, and nothing else is written to" {
    status=0
    ml get hello >&- 2>"$BATS_TEST_TMPDIR/err" || status=$?
    [ "$status" -eq 1 ]
    grep -q "Bad file descriptor" "$BATS_TEST_TMPDIR/err"
    expect 0 get hello <&-
}

@test "a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    status=0
    ml get hello >/dev/full 2>"$BATS_TEST_TMPDIR/err" || status=$?
    [ "$status" -eq 1 ]
    grep -q "No space left" "$BATS_TEST_TMPDIR/err"
}

@test "library calls in a policy end with its budget: 7" {
    local attack started
    while IFS= read -r attack; do
        printf '%s\n' "local ml = require 'moonlatch.policy'" "local s = ('a'):rep(1000000)" \
            "$attack" "return ml.policy { ml.rule '**' { from = ml.environment {} } }" | policy
        started=$SECONDS
        expect 7 get HOME --policy "$BATS_TEST_TMPDIR/p.lua"
        says "ran too long"
        ((SECONDS - started < 20))
    done <<'ATTACKS'
while true do s:upper() end
while true do pcall(s.upper, s) end
while true do utf8.len(s) end
while true do local _ = s < s .. "b" end
while true do pcall(s.find, ("a"):rep(300), "a*b") end
local t, u = {}, ("a"):rep(999999) .. "a" for i = 1, 20000 do t[i] = i % 2 == 0 and s or u end table.sort(t)
ATTACKS
}
