-- demo.lua - the policy that scripts/demo explains: two small rules and Airflow's.
--
-- Try it:  moonlatch explain billing/db_password --policy scripts/demo.lua --context env=prod
local ml = require "moonlatch.policy"

local vault = ml.azure_key_vault { vault_url = ml.env "KEYVAULT_URL" }
local env   = ml.environment {}

return ml.policy {
  -- A ladder of prefixes: this environment's own secret first, then the common one.
  --   billing/db_password  ->  billing-prod-db-password, billing-common-db-password
  ml.rule "billing/**" {
    strip   = "billing/",
    replace = { ["/"] = "-", ["_"] = "-" },
    prefix  = { "billing-{env}-", "billing-common-" },
    from    = { vault },
  },

  -- A function where a table is not enough: the vault, then the environment.
  --   tools/pager  ->  tools-pager in the vault, TOOLS_PAGER in the environment
  ml.rule "tools/*" {
    map = function(req)
      return { vault:key("tools-" .. req.leaf), env:key("TOOLS_" .. req.leaf:upper()) }
    end,
  },

  -- airflow/connections/ID, airflow/variables/KEY, as Airflow itself looks them up.
  ml.airflow { from = vault },
}
