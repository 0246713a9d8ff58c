# The modules of lua/moonlatch that are embedded in the library; one a line, sorted.
set(ML_LUA_MODULES
  moonlatch/airflow.lua
  moonlatch/airflow_kwargs.lua
  moonlatch/airflow_names.lua
  moonlatch/connection.lua
  moonlatch/dotenv.lua
  moonlatch/engine.lua
  moonlatch/explain.lua
  moonlatch/fault.lua
  moonlatch/index.lua
  moonlatch/json.lua
  moonlatch/json_text.lua
  moonlatch/list.lua
  moonlatch/lua_source.lua
  moonlatch/match.lua
  moonlatch/names.lua
  moonlatch/options.lua
  moonlatch/place.lua
  moonlatch/plan.lua
  moonlatch/policy.lua
  moonlatch/python_text.lua
  moonlatch/resolve.lua
  moonlatch/rule.lua
  moonlatch/sandbox.lua
  moonlatch/source_tools.lua
  moonlatch/sources.lua
  moonlatch/template.lua
  moonlatch/urlsplit.lua
  moonlatch/verbs.lua
)

# Sources in Lua that policies load with require "moonlatch.source.NAME".
set(ML_LUA_SOURCES
  moonlatch/source/aws.lua
  moonlatch/source/exec.lua
  moonlatch/source/vault.lua
)
