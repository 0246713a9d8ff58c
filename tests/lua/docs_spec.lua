-- docs_spec.lua - lua/README.md tells every constructor, every option and every outcome.
local fault = require "moonlatch.fault"
local options = require "support.options"

local README = options.whole_file "lua/README.md"

-- What stands in examples and between backticks, without the prose around it.
local function code_of(text)
  local parts = {}
  local prose = text:gsub("\n```lua\n(.-)\n```", function(block)
    parts[#parts + 1] = block
    return "\n"
  end)
  for span in prose:gmatch("`([^`\n]+)`") do parts[#parts + 1] = span end
  return "\n" .. table.concat(parts, "\n") .. "\n"
end

local CODE = code_of(README)

local function told(name, how)
  assert(CODE:find(how:gsub("NAME", name)), "lua/README.md does not tell " .. name)
end

-- `name` alone, or name = ...
local function told_option(name)
  if CODE:find("\n" .. name .. "\n", 1, true) then return end
  told(name, "%f[%w_]NAME%s*=")
end

describe("lua/README.md", function()
  it("tells every constructor", function()
    for name in pairs(options.constructors()) do told(name, "%f[%w_]ml%.NAME%f[^%w_]") end
  end)
  it("tells every option, also of teams and sources", function()
    for what, text in pairs(options.ASKED) do
      local set = options.of(text)
      assert(next(set), what)
      for name in pairs(set) do told_option(name) end
    end
    for _, source in ipairs { "azure_key_vault", "client_secret", "environment", "dotenv", "file",
      "directory", "local_file", "host_source", "source" } do
      for name in pairs(options.of(("ml.%s { nope = 1 }"):format(source))) do
        told_option(name)
      end
    end
  end)
  it("tells every outcome", function()
    for outcome in pairs(fault.outcomes) do told(outcome, "%f[%w_]NAME%f[^%w_]") end
  end)
  it("would not find what is not there", function()
    assert.has_error(function() told_option "nope" end)
    assert.has_error(function() told("nope", "ml%.NAME") end)
  end)
end)
