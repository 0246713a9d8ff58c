-- meta_spec.lua - the file for editors names every constructor and option, and no other.
local options = require "support.options"

local META = options.whole_file "lua/meta/moonlatch_policy.lua"

local function set_of(pattern)
  local set = {}
  for name in META:gmatch(pattern) do set[name] = true end
  return set
end

-- Fields of ---@class moonlatch.NAME.
local function fields_of(class)
  local block = META:match("@class moonlatch%." .. class .. "\n(.-)\n\n")
  local set = {}
  for name in block:gmatch("@field ([%w_]+)") do set[name] = true end
  return set
end

describe("lua/meta", function()
  it("is Lua", function() assert(load(META)) end)
  it("has every constructor", function()
    local told = set_of "\nfunction ml%.([%w_]+)%("
    for name in pairs(set_of "\nml%.([%w_]+) = ") do told[name] = true end
    assert.same(options.constructors(), told)
  end)
  for what, class in pairs { rule = "RuleOptions", require = "Require", team = "TeamOptions",
    source = "SourceOptions", case = "CaseOptions" } do
    it("has every option of a " .. what, function()
      assert.same(options.of(options.ASKED[what]), fields_of(class))
    end)
  end
end)
