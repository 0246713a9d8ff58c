#!/usr/bin/env bats
# `policy check`, `policy test` and `policy repl`: no server, no network.

bats_require_minimum_version 1.5.0
load support

setup() {
    clean_environment
    P=$BATS_TEST_TMPDIR/p.lua
    write_rules 'ml.rule "a/*" { strip = "a/", prefix = { "{env}-", "all-" }, from = kv },'
}

# write_rules TEXT : a policy of these rules, from line 4 on.
write_rules() {
    cat >"$P" <<LUA
local ml = require "moonlatch.policy"
local kv = ml.azure_key_vault { vault_url = "https://acme.vault.azure.net", alias = "kv" }
return ml.policy {
  $1
}
LUA
}

@test "check is quiet about a policy that is fine" {
    expect 0 policy check "$P"
    prints "1 rule, 0 names tried: 0 errors, 0 warnings, 0 notes"
}

@test "check tells a broken policy by file and line" {
    write_rules 'ml.rule "a/*" { form = kv },'
    expect 7 policy check "$P"
    says "$P:4: ml.rule has no option 'form'"
}

@test "check ends with 7 also for a source that cannot be" {
    sed -i 's,https://acme.vault.azure.net,http://acme.vault.azure.net,' "$P"
    expect 7 policy check "$P"
    says "$P:2: "
}

@test "check ends with 7 on an error, and with --strict on a warning" {
    write_rules 'ml.rule "a/**" { from = kv }, ml.rule "a/b" { from = kv },'
    expect 0 policy check "$P"
    prints "p.lua:4: warning: a/b never decides"
    prints "  try: put it before that rule, or remove it"
    expect 7 policy check "$P" --strict
    printf 'a/b_c\n' >"$BATS_TEST_TMPDIR/names"
    expect 7 policy check "$P" --names "$BATS_TEST_TMPDIR/names"
    prints 'error: "a/b_c": '
    prints "2 rules, 1 name tried: "
}

@test "check --json is JSON" {
    expect 0 policy check --policy "$P" --json
    python3 -c 'import json, sys
data = json.load(sys.stdin)
assert data["findings"] == [] and data["rules"][0]["label"] == "a/*", data' \
        <"$BATS_TEST_TMPDIR/stdout"
}

@test "check --costs says what each rule costs, functions against the budget" {
    write_rules 'ml.rule "a/*" { map = function(r)
      local n = 0
      for i = 1, 20000 do n = n + i end
      return kv:key(r.leaf) end }, ml.rule "b" { from = kv }, examples = { "a/x" },'
    expect 0 policy check "$P" --costs
    prints "of its own instructions ("
    [[ $(grep -c ' us, ' "$BATS_TEST_TMPDIR/stdout") == 2 ]]
}

@test "check refuses two policies, and a names file that is not there" {
    expect 2 policy check "$P" --policy other.lua
    expect 2 policy check "$P" --names "$BATS_TEST_TMPDIR/none"
}

@test "test prints TAP and ends with 1 when a case fails" {
    write_rules 'ml.rule "a/*" { strip = "a/", from = kv }, tests = {
      ml.case "a/x" { plan = "kv:x" },
      ml.case "a/y" { fakes = { kv = { y = "v" } }, answer = "w" } },'
    expect 1 policy test "$P" --junit "$BATS_TEST_TMPDIR/junit.xml"
    diff - "$BATS_TEST_TMPDIR/stdout" <<END
TAP version 13
1..2
ok 1 - a/x
not ok 2 - a/y
# $P:6: the value is another one than expected
END
    python3 - "$BATS_TEST_TMPDIR/junit.xml" <<'PY'
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
assert root.attrib["tests"] == "2" and root.attrib["failures"] == "1", root.attrib
assert [c.attrib["name"] for c in root.iter("testcase")] == ["a/x", "a/y"]
PY
}

@test "a function that never ends costs its own case and finding, not the others" {
    write_rules 'ml.rule "spin" { map = function() while true do end end },
      ml.rule "*" { from = kv }, examples = { "spin", "a_b" },
      tests = { ml.case "x" { plan = "kv:x" }, ml.case "spin" { plan = "kv:y" },
        ml.case "z" { plan = "kv:z" } },'
    expect 1 policy test "$P"
    prints "ok 1 - x"
    prints "not ok 2 - spin"
    prints "p.lua:4: the policy ran too long"
    prints "ok 3 - z"
    expect 7 policy check "$P"
    prints "p.lua:4: error: "
    prints "the policy ran too long"
    prints 'error: "a_b": '
}

@test "test takes cases from files, and no cases at all are a failure" {
    expect 1 policy test "$P"
    says "has no cases"
    cat >"$BATS_TEST_TMPDIR/cases.lua" <<'LUA'
local ml = require "moonlatch.policy"
return { ml.case "a/x" { context = { env = "prod" }, plan = { "kv:prod-x", "kv:all-x" } } }
LUA
    expect 0 policy test "$P" --cases "$BATS_TEST_TMPDIR/cases.lua"
    prints "ok 1 - a/x (env=prod)"
}

@test "repl shows plans, keeps a context, and goes on after a mistake" {
    printf '%s\n' 'a/x env=prod' ':context env=dev' 'a/x' 'nope' ':what' ':quit' 'a/y' |
        ml policy repl "$P" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
    grep -q 'prod-x' "$BATS_TEST_TMPDIR/out"
    grep -q 'dev-x' "$BATS_TEST_TMPDIR/out"
    grep -q "no command ':what'" "$BATS_TEST_TMPDIR/err"
    run ! grep -q 'a/y' "$BATS_TEST_TMPDIR/out"
}

# appears WORDS FILE : within ten seconds.
appears() {
    for _ in $(seq 200); do
        grep -q -- "$1" "$2" && return 0
        sleep 0.05
    done
    printf 'not in time: %s\n' "$1"
    cat "$2"
    return 1
}

@test "repl reads the policy again on SIGHUP, and keeps it when the new one is bad" {
    local out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err pid
    mkfifo "$BATS_TEST_TMPDIR/in"
    timeout 60 "$ML" policy repl "$P" <"$BATS_TEST_TMPDIR/in" >"$out" 2>"$err" 3>&- &
    pid=$!
    exec 4>"$BATS_TEST_TMPDIR/in"
    echo 'a/x env=prod' >&4
    appears 'kv  prod-x' "$out"
    write_rules 'ml.rule "a/*" { strip = "a/", prefix = "second-", from = kv },'
    kill -HUP "$(pgrep -P "$pid")"
    appears 'loaded again' "$err"
    echo 'a/x' >&4
    appears 'kv  second-x' "$out"
    write_rules 'ml.rule "a/*" { form = kv },'
    kill -HUP "$(pgrep -P "$pid")"
    appears "no option 'form'" "$err"
    echo 'a/y' >&4
    appears 'kv  second-y' "$out"
    echo ':quit' >&4
    exec 4>&-
    wait "$pid"
}

@test "repl says of a line that is too long what it is" {
    head -c 100000 /dev/zero | tr '\0' a >"$BATS_TEST_TMPDIR/line"
    run ml policy repl "$P" <"$BATS_TEST_TMPDIR/line"
    [ "$status" -eq 1 ]
    [[ $output == "moonlatch: cannot read stdin: the line is too long" ]]
}

@test "help knows verbs of two words" {
    expect 0 help policy check
    prints "--names FILE"
    expect 2 policy
    expect 2 policy nonsense
}
