#!/usr/bin/env bats
# Policies of several files, and teams that share a vault, against a real dev vault.

load support

setup_file() {
    load support
    clean_environment
    printf '{"dev": {"billing-db": "b1", "billing-api": "b2", "ops-root": "canary-ops"}}' \
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
    POLICY_D=$BATS_TEST_TMPDIR/policy.d
    export MOONLATCH_POLICY=$POLICY_D
    mkdir -p "$POLICY_D/teams"
    cat >"$POLICY_D/10-teams.lua" <<'LUA'
local ml = require "moonlatch.policy"
local kv = ml.azure_key_vault { vault_url = ml.env "VAULT_URL" }
return ml.policy {
  ml.team "billing" { confine = "billing/**", file = "teams/billing.lua",
    sources = { vault = { kv, keys = "billing-*" } } },
}
LUA
    cat >"$POLICY_D/20-ops.lua" <<'LUA'
local ml = require "moonlatch.policy"
local kv = ml.azure_key_vault { vault_url = ml.env "VAULT_URL" }
return ml.policy { ml.rule "ops/*" { strip = "ops/", prefix = "ops-", from = kv } }
LUA
    billing <<'LUA'
return ml.policy {
  ml.rule "billing/any/*" { strip = "billing/any/", from = ml.given.vault, label = "ANY" },
  ml.rule "**" { strip = "billing/", prefix = "billing-", from = ml.given.vault },
}
LUA
}

# The file of the team: what comes behind require, on stdin.
billing() {
    { echo 'local ml = require "moonlatch.policy"'; cat; } >"$POLICY_D/teams/billing.lua"
}

@test "a directory of policies answers, lists and explains" {
    expect 0 get billing/db
    [ "$output" = b1 ]
    expect 0 get ops/root --policy "$POLICY_D/"
    [ "$output" = canary-ops ]
    expect 0 list
    [ "$output" = $'billing/any/billing-api\nbilling/any/billing-db\nbilling/api\nbilling/db\nops/root' ]
    expect 0 explain billing/db
    prints "team billing"
    prints "teams/billing.lua:4"
}

@test "a team cannot reach the keys of others" {
    expect 7 get billing/any/ops-root
    says 'team "billing" was given billing-* only'
    says "10-teams.lua:4"
    unsaid canary
    expect 7 put billing/any/ops-root <<<"x"
    expect 7 delete billing/any/ops-root --yes
    expect 0 get ops/root
    [ "$output" = canary-ops ]
}

@test "a name outside tells nothing of the team's rules" {
    expect 0 explain ops/root
    prints "outside its confine"
    unprinted ANY
    unprinted teams/billing.lua
    expect 0 explain ops/root --json
    unprinted ANY
    unprinted teams/billing.lua
    expect 3 get nowhere/x
    unsaid teams/billing.lua
}

@test "a team cannot use the identity or the variables of the host" {
    local use
    for use in 'ml.env "VAULT_URL"' 'ml.env_secret "AZURE_CLIENT_SECRET"' 'ml.environment {}' \
        'ml.azure_key_vault { vault_url = "https://localhost" }' 'ml.airflow {}'; do
        billing <<<"local x = $use return ml.policy { ml.deny 'billing/x' }"
        expect 7 get ops/root
        says "teams/billing.lua:2"
        says 'not open to team "billing"'
        says "10-teams.lua:4"
        unsaid "$AZURE_CLIENT_SECRET"
    done
}

@test "a broken file of a team refuses the policy, with its name and line" {
    billing <<<$'\n\nreturn ml.policy {'
    expect 7 get ops/root
    says 'team "billing"'
    says "teams/billing.lua:5"
}

@test "a rule of a team that never ends costs only its own names" {
    billing <<'LUA'
return ml.policy { ml.rule "**" { map = function() while true do pcall(error) end end } }
LUA
    expect 7 get billing/db
    says "teams/billing.lua:2"
    says "the policy ran too long"
    expect 0 get ops/root
    [ "$output" = canary-ops ]
}

@test "files of teams come from below the policy only" {
    ln -sf /etc/hostname "$POLICY_D/teams/billing.lua"
    expect 7 get ops/root
    says "not below the directory of the policy"
    rm "$POLICY_D/teams/billing.lua"
    expect 7 get ops/root
    says "teams/billing.lua cannot be read"
}

@test "an empty directory is no policy" {
    mkdir "$BATS_TEST_TMPDIR/empty"
    expect 7 get ops/root --policy "$BATS_TEST_TMPDIR/empty"
    says "the directory has no policy"
}
