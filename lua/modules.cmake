# The modules of lua/moonlatch that are embedded in the library; one a line, sorted.
set(ML_LUA_MODULES
  moonlatch/airflow.lua
  moonlatch/airflow_kwargs.lua
  moonlatch/airflow_names.lua
  moonlatch/connection.lua
  moonlatch/dotenv.lua
  moonlatch/json_text.lua
  moonlatch/python_text.lua
  moonlatch/urlsplit.lua
)
