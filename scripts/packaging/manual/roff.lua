-- roff: a manual page, piece by piece, in the man(7) language.
local M = {}

local SPECIAL = { ["\\"] = "\\e", ["-"] = "\\-", ["'"] = "\\(aq", ["`"] = "\\(ga",
                  ["^"] = "\\(ha", ["~"] = "\\(ti", ['"'] = "\\(dq" }

-- Any text, as itself; a line that begins with a dot is no request.
function M.escape(text)
    text = ("\n" .. text):gsub("[\\%-'`^~\"]", SPECIAL)
    return (text:gsub("\n%.", "\n\\&."):sub(2))
end

local page = {}
page.__index = page

-- release: { version =, date = }
function M.page(name, section, group, release)
    local self = setmetatable({ out = {} }, page)
    self:raw(('.TH "%s" %d %s "moonlatch %s" "%s"'):format(M.escape(name):upper(), section,
        release.date, release.version, group))
    self:raw ".nh" -- words of commands are not broken
    return self
end

function page:raw(line)
    self.out[#self.out + 1] = line
end

function page:section(title)
    self:raw(".SH " .. M.escape(title:upper()))
end

function page:name(names, summary)
    self:section "name"
    self:raw(M.escape(names) .. " \\- " .. M.escape(summary))
end

-- The first text under a section is not preceded by .PP: mandoc calls that empty.
function page:paragraph(text)
    if not self.out[#self.out]:find("^%.SH") then self:raw ".PP" end
    self:raw(M.escape(text))
end

function page:item(label, text)
    self:raw ".TP"
    self:raw("\\fB" .. M.escape(label) .. "\\fR")
    self:raw(M.escape(text))
end

-- Lines as they are.
function page:code(lines)
    if not self.out[#self.out]:find("^%.SH") then self:raw ".PP" end
    self:raw ".nf"
    for _, line in ipairs(lines) do
        self:raw(line == "" and "\\&" or M.escape(line))
    end
    self:raw ".fi"
end

-- { "moonlatch-get(1)", ... }
function page:see_also(pages)
    self:section "see also"
    local out = {}
    for i, p in ipairs(pages) do
        local name, section = p:match("^(.*)(%(%d%))$")
        out[i] = ("\\fB%s\\fR%s"):format(M.escape(name), section)
    end
    self:raw(table.concat(out, ",\n"))
end

function page:text()
    return table.concat(self.out, "\n") .. "\n"
end

return M
