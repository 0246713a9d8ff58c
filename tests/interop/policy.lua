-- policy.lua - every name is a key of the one vault that the environment names.
local ml = require "moonlatch.policy"

local vault = ml.azure_key_vault {
  vault_url = ml.env "INTEROP_VAULT_URL",
  audience = "https://vault.azure.net",
  api_version = "7.5",
}

return ml.policy {
  ml.rule "**" { from = vault },
}
