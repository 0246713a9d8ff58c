-- airflow_names.lua - which Key Vault secret name Airflow's AzureKeyVaultBackend asks
-- for, and back again.
--
--   forward   (prefix, separator, id) -> secret name, exactly as the backend builds it
--   inverse   secret name -> airflow/<kind>/<rest>, for listing
--
-- The backend joins prefix and id with the separator and then turns every underscore of
-- the whole name, the prefix included, into the separator.  It checks nothing.  So
-- names collide by nature (a_b and a-b are one secret), and the inverse cannot tell an
-- underscore from a dash: it gives the dash, which leads back to the same secret.
--
-- Pure: no environment, no I/O.  A *naming* is
--   { sep = text | nil, connections = prefix, variables = prefix, config = prefix }
-- where a prefix is a text, false, a number (0) or nil: nil means "never ask the
-- vault".
local text = require "moonlatch.python_text"

local M = {}

-- In the order in which ties of the inverse are broken.
M.KINDS = { "connections", "variables", "config" }

M.rstrip = text.rstrip
M.python_str = text.str

-- What the constructor does to a prefix: a text loses the separator's *characters* at
-- its end ("prod-ab" with separator "ab-" becomes "prod"); what Python holds for false
-- stays. sep nil (JSON null) strips blanks, as rstrip(None) does.
function M.strip_prefix(prefix, sep)
  if type(prefix) ~= "string" or prefix == "" then return prefix end
  return text.rstrip(prefix, sep)
end

-- The secret name.  prefix "" means the bare id; any other prefix is joined with sep.
function M.build_path(prefix, id, sep)
  local name = id
  if prefix ~= "" then name = text.str(prefix) .. sep .. id end
  return text.replace(name, "_", sep)
end

-- "airflow/variables/team/x" -> "variables", "team/x".  The id is everything after the
-- kind, "/" and emptiness included.  nil for any other name.  With bare names
-- "variables/x" is read as well.
function M.split(name, bare_names)
  local kind, id = name:match("^airflow/([^/]+)/(.*)$")
  if not kind and bare_names then kind, id = name:match("^([^/]+)/(.*)$") end
  for _, known in ipairs(M.KINDS) do
    if kind == known then return kind, id end
  end
  return nil
end

-- The name that a kind's keys start with.
local function stem_of(naming, kind)
  local prefix = naming[kind]
  if prefix == nil or naming.sep == nil then return nil end
  return prefix == "" and "" or M.build_path(prefix, "", naming.sep)
end

-- The logical name that a secret of the vault has: the kind with the longest matching
-- prefix wins; with the empty prefix a kind takes what no other claims.  Key Vault
-- names are case-insensitive, so the prefix is too.  When kinds share one prefix the
-- same secret answers to several names: all are returned, in the order of KINDS.
function M.unbuild_path(naming, key)
  local found, longest = {}, -1
  for _, kind in ipairs(M.KINDS) do
    local stem = stem_of(naming, kind)
    if stem and #stem >= longest and key:sub(1, #stem):lower() == stem:lower() then
      if #stem > longest then found, longest = {}, #stem end
      found[#found + 1] = "airflow/" .. kind .. "/" .. key:sub(#stem + 1)
    end
  end
  return table.unpack(found)
end

return M
