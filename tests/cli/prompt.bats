#!/usr/bin/env bats
# A value that is typed or pasted: all of it or nothing, never shown, and the terminal as
# it was before.

load support

setup_file() {
    load support
    clean_environment
    printf '{"dev": {"hello": "world"}}' >"$BATS_FILE_TMPDIR/seed.json"
    start_vault dev --seed "$BATS_FILE_TMPDIR/seed.json"
}

teardown_file() {
    load support
    stop_all
}

setup() {
    needs_terminals
    clean_environment
    use_vault dev
    write_policy
}

# typing CODE NAME : `put NAME` with stdin typed at its prompt; $output is the terminal's.
typing() {
    local code=$1
    run timeout 25 python3 "$BATS_TEST_DIRNAME/typed.py" "(not shown): " "$ML" put "$2" 3>&-
    [ "$status" -eq "$code" ] || { printf 'exit %s: %s\n' "$status" "$output"; return 1; }
    prints "echo on"
    prints "lines on"
}

repeat() {
    head -c "$1" /dev/zero | tr '\0' x
}

@test "5,000 bytes on one line arrive whole" {
    typing 0 long < <(repeat 5000; printf '\n')
    expect 0 get long
    [ "${#output}" -eq 5000 ]
}

@test "the longest value that Key Vault takes, and one byte more" {
    typing 0 longest < <(repeat 25600; printf '\n')
    expect 0 get longest
    [ "${#output}" -eq 25600 ]
    typing 2 over < <(repeat 25601; printf '\n')
    prints "25600 bytes"
    typing 2 over < <(repeat 100000; printf '\n')
    prints --from-file
    expect 3 get over
}

@test "a paste of several lines is refused, and none of it is left for the shell" {
    typing 2 pasted < <(printf 'canary-one\ncanary-two\n')
    prints --from-file
    unprinted canary
    typing 2 pasted < <(printf 'canary-one\r\n\r\n'; repeat 20000; printf '\ncanary-last\n')
    unprinted canary
    expect 3 get pasted
}

@test "keys: backspace, Ctrl-U, Ctrl-W, Ctrl-D at the end" {
    typing 0 edited < <(printf 'nonsense\025two wrongg\177\177\177\177\177\177\303\274\177ok\r')
    expect 0 get edited
    [ "$output" = "two ok" ]
    typing 0 edited < <(printf 'one two three\027\027end\004')
    expect 0 get edited
    [ "$output" = "one end" ]
}

@test "nothing typed, and keys that would be stored unseen: nothing is stored" {
    typing 2 none < <(printf '\004')
    typing 2 none < <(printf '\n')
    typing 2 none < <(printf 'ab\033[Dc\n')
    prints --from-file
    expect 3 get none
}

@test "Ctrl-C ends the program and restores the terminal" {
    typing 130 stopped < <(printf 'canary-half\003')
    unprinted canary
    expect 3 get stopped
}
