-- .luacheckrc - Lua 5.4, nothing global; busted's words in its specs.
std = "lua54"
max_line_length = 110
exclude_files = { "build*/", ".cache/" }
files["tests/lua"] = { std = "+busted" }
files["tests/**/*_spec.lua"] = { std = "+busted" }
files["lua/meta"] = { ignore = { "212", "241", "631" } } -- declarations: arguments that nobody uses
