-- write: the manual pages, from the flags of lua/commands and the comments of moonlatch.h.
--
--   lua5.4 write.lua SOURCE_DIR OUT_DIR      OUT_DIR has folders man1 and man3
local root, out = arg[1], arg[2]

package.path = root .. "/scripts/packaging/manual/?.lua;" .. package.path
table.insert(package.searchers, 2, function(name)
    local file = name:match("^moonlatch%.(commands%..*)$")
    if not file then return nil end
    return assert(loadfile(("%s/lua/%s.lua"):format(root, (file:gsub("%.", "/"))))), name
end)

-- Version and date of the newest entry in the changelog.
local function release_of()
    local f = assert(io.open(root .. "/scripts/packaging/changelog"))
    local text = f:read "a"
    f:close()
    local day, month, year = text:match("\n %-%- [^\n]+, (%d+) (%a+) (%d+)")
    local months = ("JanFebMarAprMayJunJulAugSepOctNovDec"):find(month, 1, true)
    return { version = text:match("%((.-)%)"),
             date = ("%s-%02d-%02d"):format(year, (months + 2) // 3, day) }
end

local release = release_of()
for _, name in ipairs { "verbs", "header" } do
    for path, text in pairs(require(name).pages(root, release)) do
        local f = assert(io.open(out .. "/" .. path, "w"))
        assert(f:write(text))
        assert(f:close())
    end
end
