-- header: moonlatch(3), which is the public header with its comments as text; and a page
-- of each function, which leads there.
local roff = require "roff"

local M = {}

-- Lines of a comment without its marks.
local function bare(lines)
    local out = {}
    for i, line in ipairs(lines) do
        out[i] = line:gsub("%s*%*/%s*$", ""):gsub("^/%* ?", ""):gsub("^ %* ?", "")
    end
    return out
end

-- Words flow; lines that are indented stay as they are.
local function write_comment(page, lines)
    local words, code = {}, {}
    local function flush()
        if #words > 0 then page:paragraph(table.concat(words, "\n")) end
        if #code > 0 then page:code(code) end
        words, code = {}, {}
    end
    for _, line in ipairs(bare(lines)) do
        local is_code = line:find("^  ") ~= nil
        if line == "" or is_code and #words > 0 or not is_code and #code > 0 then flush() end
        if line ~= "" then
            local list = is_code and code or words
            list[#list + 1] = line
        end
    end
    flush()
end

-- Without the marks of export; what was aligned to them stays aligned.
local function write_code(page, lines)
    local shift = 0
    for i, line in ipairs(lines) do
        if line:find("^ML_API ") then
            local short = line:gsub("^ML_API +", ""):gsub("^ML_MUST +", "")
            shift = #line - #short
            lines[i] = short
        elseif shift > 0 then
            lines[i] = line:gsub("^" .. (" "):rep(shift), "")
            if not line:find("^ ") then shift = 0 end
        end
    end
    page:code(lines)
end

local function write_codes(page, lines)
    for _, line in ipairs(lines) do
        local name, value, outcome, text =
            line:match('X%(([%w_]+), (%-?%d+), "([^"]+)", "([^"]+)"%)')
        if name then
            page:item(("%s (%s)"):format(name, value), ("%s: %s."):format(outcome, text))
        end
    end
end

local writers = {
    comment = write_comment,
    code = write_code,
    codes = write_codes,
    title = function(page, lines) page:section(lines[1]) end,
    skip = function() end,
}

-- What a line begins, when it is inside nothing.
local function kind_of(line)
    if line:find("^/%* %-%-%-%- ") then return "title" end
    if line:find("^/%*") then return "comment" end
    if line:find("^#define ML_CODES") then return "codes" end
    if line:find("^#define ML_[%u_]+_INIT ") then return "code" end
    if line:find("^#define ML_POLICY_") then return "code" end
    if line:find("^#define ML_VERSION") or line:find("^#define ML_ABI") then return "code" end
    if line:find("^#") or line:find("ML_CODE_ENUM", 1, true) then return "skip" end
    if line:find('^extern "C"') or line == "}" then return "skip" end
    return "code"
end

-- A comment ends with its mark, a #define with a line that is not continued, code with a
-- blank line, a comment or a #define.
local function is_over(kind, line, following)
    if kind == "comment" then return line:find("%*/%s*$") ~= nil end
    if kind == "codes" or line:find("^#") then return line:sub(-1) ~= "\\" end
    return following == nil or following == "" or kind_of(following) ~= "code"
end

-- { { kind, lines }, ... } in the header's order.
local function blocks_of(text)
    local lines, blocks, block = {}, {}, nil
    for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
    for i, line in ipairs(lines) do
        if not block and line ~= "" then
            block = { kind = kind_of(line) }
            if block.kind == "title" then line = line:match("^/%* %-+ (.-) %-+") end
        end
        if block then
            block[#block + 1] = line
            if block.kind == "title" or is_over(block.kind, line, lines[i + 1]) then
                blocks[#blocks + 1] = block
                block = nil
            end
        end
    end
    return blocks
end

-- ML_API functions, in the header's order.
function M.functions(text)
    local names = {}
    for name in text:gmatch("\nML_API [^;(]-([%w_]+)%(") do names[#names + 1] = name end
    return names
end

-- The first block is the comment at the head: its first sentence names the file.
local function write_head(page, block)
    local lines = bare(block)
    lines[1] = lines[1]:gsub("^moonlatch%.h %- the (%l)", function(c) return "The " .. c end)
    page:section "description"
    write_comment(page, lines)
    page:section "versions"
end

-- { ["man3/moonlatch.3"] = text, ["man3/ml_open.3"] = ..., ... }
function M.pages(root, release)
    local f = assert(io.open(root .. "/core/moonlatch.h"))
    local text = f:read "a"
    f:close()
    local names = M.functions(text)
    local page = roff.page("moonlatch", 3, "moonlatch", release)
    page:name("moonlatch, " .. table.concat(names, ", "),
        "an embeddable, Lua-scriptable secrets resolver")
    page:section "synopsis"
    page:code { "#include <moonlatch.h>", "", "cc ... $(pkg-config --cflags --libs moonlatch)" }
    local blocks = blocks_of(text)
    write_head(page, table.remove(blocks, 1))
    for i, block in ipairs(blocks) do
        local following = blocks[i + 1]
        if following and following.kind == "codes" then page:section "errors" end
        writers[block.kind](page, block)
    end
    page:see_also { "moonlatch(1)" }
    local pages = { ["man3/moonlatch.3"] = page:text() }
    for _, name in ipairs(names) do
        pages[("man3/%s.3"):format(name)] = ".so man3/moonlatch.3\n"
    end
    return pages
end

return M
