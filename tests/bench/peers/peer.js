// peer.js - cold gets one after the other, by the Azure SDK for JavaScript.
//
//     peer.js COUNT
//
// The credential has its token already: what is measured are the gets.  Prints one sample.
"use strict";

const { SecretClient } = require("@azure/keyvault-secrets");

const credential = {
  getToken: async () => ({ token: "bench-only", expiresOnTimestamp: Date.now() + 3600e3 }),
};

async function main(count) {
  const client = new SecretClient(process.env.BENCH_VAULT_URL, credential, {
    disableChallengeResourceVerification: true,
  });
  await client.getSecret("key-00000");
  const began = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    const name = `key-${String(i).padStart(5, "0")}`;
    const { value } = await client.getSecret(name);
    if (!value) throw new Error(`${name} has no value`);
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  console.log(`peer_javascript_gets_per_s ${(count / seconds).toPrecision(6)}`);
}

main(Number(process.argv[2])).catch((e) => {
  console.error(e.message);
  process.exit(1);
});
