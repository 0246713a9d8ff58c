// check.js - the Azure SDK for JavaScript, unchanged, against a Key Vault given in the
// environment.
//
// Prints one line a check: `ok - javascript: ...` or `not ok - javascript: ...: reason`.
// INTEROP_VAULT_URL is https://NAME.localhost:PORT, INTEROP_LOOPBACK_URL the same vault
// as https://localhost:PORT; AZURE_* name the identity, NODE_EXTRA_CA_CERTS the trust.
"use strict";

const assert = require("node:assert/strict");
const dns = require("node:dns");
const { ClientSecretCredential } = require("@azure/identity");
const { SecretClient } = require("@azure/keyvault-secrets");

const env = process.env;
const VAULT_SCOPE = "https://vault.azure.net/.default";

// RFC 6761: names under localhost are loopback.  glibc would ask DNS for them.
const plainLookup = dns.lookup;
dns.lookup = (host, ...rest) =>
  plainLookup(host.endsWith(".localhost") ? "127.0.0.1" : host, ...rest);

function credential(changed = {}) {
  const who = {
    tenant: env.AZURE_TENANT_ID,
    client: env.AZURE_CLIENT_ID,
    secret: env.AZURE_CLIENT_SECRET,
    ...changed,
  };
  return new ClientSecretCredential(who.tenant, who.client, who.secret, {
    authorityHost: env.AZURE_AUTHORITY_HOST,
    disableInstanceDiscovery: true,
  });
}

const client = (url = env.INTEROP_VAULT_URL, options = {}) =>
  new SecretClient(url, credential(), options);
const vault = client();

async function refused(promise, status, ...words) {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  assert.ok(error, "the call was not refused");
  if (status) assert.equal(error.statusCode, status, error.message);
  for (const word of words) assert.ok(error.message.includes(word), error.message);
  return error;
}

async function collect(pages) {
  const all = [];
  for await (const item of pages) all.push(item);
  return all;
}

// The deepest innererror's code: the word that tools branch on.
function innermost(error) {
  let inner = error.details.error;
  while (inner.innerError) inner = inner.innerError;
  return inner.code;
}

const checks = {
  async "token by client secret"() {
    const got = await credential().getToken(VAULT_SCOPE);
    assert.ok(got.token && got.expiresOnTimestamp > Date.now() + 60000);
  },

  async "a wrong secret is AADSTS7000215"() {
    const bad = credential({ secret: "not-the-secret" });
    await refused(bad.getToken(VAULT_SCOPE), null, "invalid_client", "AADSTS7000215");
  },

  async "an unknown client is AADSTS700016"() {
    const bad = credential({ client: "00000000-0000-0000-0000-00000000dead" });
    await refused(bad.getToken(VAULT_SCOPE), null, "unauthorized_client", "AADSTS700016");
  },

  // Without a content type: this version of the SDK does not send it (Python does).
  async "challenge, set, get with metadata"() {
    const expiresOn = new Date("2037-01-02T03:04:05Z"); // the SDK counts in 32 bits
    const made = await vault.setSecret("js-full", "välue\n€ line 2", {
      tags: { team: "billing" },
      expiresOn,
    });
    const got = await vault.getSecret("js-full");
    assert.equal(got.value, "välue\n€ line 2");
    assert.equal(got.name, "js-full");
    assert.equal(got.properties.version, made.properties.version);
    assert.deepEqual({ ...got.properties.tags }, { team: "billing" });
    assert.deepEqual(got.properties.expiresOn, expiresOn);
    assert.equal(got.properties.enabled, true);
    assert.ok(got.properties.createdOn instanceof Date);
  },

  // https://localhost is nobody's subdomain: the SDK's own switch is needed there.
  async "get through https://localhost, verification off"() {
    const direct = client(env.INTEROP_LOOPBACK_URL, {
      disableChallengeResourceVerification: true,
    });
    assert.equal((await direct.getSecret("js-full")).value, "välue\n€ line 2");
  },

  async "list 30 by pages"() {
    const names = Array.from({ length: 30 }, (_, i) => `js-list-${100 + i}`);
    for (const name of names) await vault.setSecret(name, `v-${name}`);
    const pages = await collect(vault.listPropertiesOfSecrets().byPage());
    assert.ok(pages.length > 1, "30 secrets came in one page");
    const listed = pages.flat().map((p) => p.name);
    assert.equal(new Set(listed).size, listed.length, "one was listed twice");
    assert.deepEqual(names.filter((n) => !listed.includes(n)), []);
  },

  async "a page size of 7 is kept"() {
    const pages = vault.listPropertiesOfSecrets().byPage({ maxPageSize: 7 });
    for (const page of await collect(pages)) assert.ok(page.length <= 7);
  },

  async "versions"() {
    const made = [];
    for (const value of ["v0", "v1", "v2"]) {
      made.push((await vault.setSecret("js-versions", value)).properties.version);
    }
    const listed = await collect(vault.listPropertiesOfSecretVersions("js-versions"));
    assert.deepEqual(listed.map((p) => p.version).sort(), [...made].sort());
    assert.equal((await vault.getSecret("js-versions")).value, "v2");
    const first = await vault.getSecret("js-versions", { version: made[0] });
    assert.equal(first.value, "v0");
  },

  async "update keeps the value"() {
    const made = await vault.setSecret("js-update", "kept", { tags: { a: "1" } });
    await vault.updateSecretProperties("js-update", made.properties.version, {
      tags: { b: "2" },
    });
    const got = await vault.getSecret("js-update");
    assert.equal(got.value, "kept");
    assert.deepEqual({ ...got.properties.tags }, { b: "2" });
  },

  async "disabled is 403 SecretDisabled"() {
    const made = await vault.setSecret("js-disabled", "hidden");
    const version = made.properties.version;
    await vault.updateSecretProperties("js-disabled", version, { enabled: false });
    const error = await refused(vault.getSecret("js-disabled"), 403);
    assert.equal(innermost(error), "SecretDisabled");
  },

  async "not found is 404 SecretNotFound"() {
    const error = await refused(vault.getSecret("js-no-such"), 404);
    assert.equal(error.code, "SecretNotFound");
  },

  async "delete and recover by poller"() {
    await vault.setSecret("js-delete", "comes back");
    const poller = await vault.beginDeleteSecret("js-delete");
    const gone = await poller.pollUntilDone();
    assert.ok(gone.recoveryId && gone.properties.recoveryId);
    assert.ok(gone.deletedOn && gone.scheduledPurgeDate);
    await refused(vault.getSecret("js-delete"), 404);
    const deleted = await collect(vault.listDeletedSecrets());
    assert.ok(deleted.some((s) => s.name === "js-delete"));
    const error = await refused(vault.setSecret("js-delete", "again"), 409);
    assert.equal(innermost(error), "ObjectIsDeletedButRecoverable");
    await (await vault.beginRecoverDeletedSecret("js-delete")).pollUntilDone();
    assert.equal((await vault.getSecret("js-delete")).value, "comes back");
  },

  async "purge frees the name"() {
    await vault.setSecret("js-purge", "first");
    await (await vault.beginDeleteSecret("js-purge")).pollUntilDone();
    await vault.purgeDeletedSecret("js-purge");
    await refused(vault.getDeletedSecret("js-purge"), 404);
    await vault.setSecret("js-purge", "second");
    assert.equal((await vault.getSecret("js-purge")).value, "second");
  },

  async "backup and restore"() {
    await vault.setSecret("js-backup", "one");
    await vault.setSecret("js-backup", "two");
    const blob = await vault.backupSecret("js-backup");
    await refused(vault.restoreSecretBackup(blob), 409);
    await (await vault.beginDeleteSecret("js-backup")).pollUntilDone();
    await vault.purgeDeletedSecret("js-backup");
    await vault.restoreSecretBackup(blob);
    assert.equal((await vault.getSecret("js-backup")).value, "two");
    const listed = await collect(vault.listPropertiesOfSecretVersions("js-backup"));
    assert.equal(listed.length, 2);
  },
};

async function main() {
  let failed = 0;
  for (const [title, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok - javascript: ${title}`);
    } catch (error) {
      failed += 1;
      const reason = String(error.message).replace(/\s+/g, " ").slice(0, 400);
      console.log(`not ok - javascript: ${title}: ${reason}`);
    }
  }
  process.exitCode = failed ? 1 : 0;
}

main();
