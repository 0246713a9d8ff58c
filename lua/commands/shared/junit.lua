-- junit: results of `policy test` as the XML that CI systems read.
local M = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
                   ["'"] = "&apos;" }

-- XML 1.0 has no place for most control characters, nor for bytes that are not UTF-8.
local function escaped(words)
    words = words:gsub("[%z\1-\8\11\12\14-\31\127]", "?")
    if not utf8.len(words) then words = words:gsub("[\128-\255]", "?") end
    return (words:gsub("[&<>\"']", ENTITIES))
end

local function case(suite, result)
    local head = ('    <testcase classname="%s" name="%s"'):format(escaped(suite),
        escaped(result.name))
    if not result.problem then return head .. "/>\n" end
    return ('%s>\n      <failure message="%s">%s</failure>\n    </testcase>\n'):format(head,
        escaped(result.problem), escaped(result.where .. ": " .. result.problem))
end

-- results = array of { name, where, problem | nil }.
function M.document(suite, results)
    local cases, failed = {}, 0
    for i, result in ipairs(results) do
        cases[i] = case(suite, result)
        if result.problem then failed = failed + 1 end
    end
    local counts = ('tests="%d" failures="%d" errors="0" skipped="0"'):format(#results, failed)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites %s>\n'
        .. '  <testsuite name="%s" %s>\n%s  </testsuite>\n</testsuites>\n'):format(counts,
        escaped(suite), counts, table.concat(cases))
end

return M
