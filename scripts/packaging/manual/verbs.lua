-- verbs: the pages of section 1, from what the program itself parses and prints.
local flags = require "moonlatch.commands.shared.flags"
local help = require "moonlatch.commands.help"
local roff = require "roff"
local verbs = require "moonlatch.commands.shared.verbs"

local M = {}

local ABOUT = [[
moonlatch answers names with secrets.  A policy, a Lua file that your team owns, decides
what a name means: which vault, which secret in it, and what to try next.  Values go to
stdout, messages to stderr; a value is never in the arguments of a command or in a log.]]

local ENVIRONMENT = {
    { "MOONLATCH_POLICY", "The policy, when --policy is not given." },
    { "MOONLATCH_BUDGET_DIR", "A directory of request budgets shared with other processes, when"
      .. " --budget-dir is not given." },
    { "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET",
      "The service principal that asks Azure Key Vault; a part of them is an error." },
    { "AZURE_AUTHORITY_HOST", "Where its tokens come from; default: Entra ID's public cloud." },
    { "AIRFLOW__SECRETS__BACKEND_KWARGS",
      "What Airflow's AzureKeyVaultBackend reads, for the policy airflow." },
    { "SSL_CERT_FILE, SSL_CERT_DIR", "Whom to trust, instead of the system's." },
    { "HTTPS_PROXY, NO_PROXY", "The way out." },
    { "NO_COLOR", "No colours, as --color never." },
}

local EXAMPLE = {
    "moonlatch dev-vault --vault demo --state-dir ./devvault > ready.json &",
    "until [ -s ready.json ]; do sleep 0.1; done",
    'eval "$(moonlatch dev-vault --print-env ./devvault)"',
    "echo -n s3cret | moonlatch put variables/hello",
    "moonlatch get variables/hello",
    "moonlatch explain variables/hello",
}

local function page_of(verb)
    return "moonlatch-" .. verb:gsub(" ", "-")
end

local function exit_status(page)
    page:section "exit status"
    for code, meaning in help.EXIT_CODES:gmatch("(%d+) ([^%d]+)") do
        page:item(code, (meaning:gsub("%s+", " "):gsub("[,.] ?$", "")))
    end
end

local function others(verb)
    local pages = { "moonlatch(1)" }
    for _, other in ipairs(verbs.names()) do
        if other ~= verb then pages[#pages + 1] = page_of(other) .. "(1)" end
    end
    table.sort(pages)
    return pages
end

-- The sentence at the head of the verb's file, behind its name.
local function purpose(verb, root)
    local path = ("%s/lua/commands/%s.lua"):format(root, (verb:gsub("[ -]", "_")))
    local f = assert(io.open(path))
    local words = {}
    for line in f:lines() do
        local word = line:match("^%-%- (.*)$")
        if not word then break end
        words[#words + 1] = word
    end
    f:close()
    local text = table.concat(words, " "):match("^[^:]+: (.+)$")
    assert(text, path .. ": its first line is not '-- verb: what it does'")
    return (text:gsub("^%l", string.upper))
end

local function elements(page, title, list)
    local is_first = true
    for _, element in ipairs(list) do
        if not element._hidden then
            if is_first then page:section(title) end
            is_first = false
            local label = table.concat(element:_get_label_lines(), ", ")
            local text = element:_get_description()
            if element._choices then
                text = ("%s: %s"):format(text, table.concat(element._choices, ", "))
            end
            if element._maxcount == math.huge and not text:find "repeat" then
                text = text .. " (may be repeated)"
            end
            page:item(label, text)
        end
    end
end

local function verb_page(verb, root, release)
    local module = verbs.load(verb)
    local p = flags.parser(verb, module)
    local page = roff.page(page_of(verb), 1, "moonlatch", release)
    page:name(page_of(verb), module.summary)
    page:section "synopsis"
    local usage = p:get_usage():gsub("^Usage: ", ""):gsub("%s+", " ")
    page:raw("\\fBmoonlatch " .. roff.escape(verb) .. "\\fR")
    page:raw(roff.escape((usage:sub(#"moonlatch " + #verb + 2))))
    page:section "description"
    page:paragraph(purpose(verb, root))
    if module.epilog then page:paragraph((module.epilog:gsub("\n", " "))) end
    elements(page, "arguments", p._arguments)
    elements(page, "options", p._options)
    exit_status(page)
    page:see_also(others(verb))
    return page
end

local function overview(release)
    local page = roff.page("moonlatch", 1, "moonlatch", release)
    page:name("moonlatch", "secrets by name, where a policy decides what a name means")
    page:section "synopsis"
    page:raw "\\fBmoonlatch\\fR \\fIVERB\\fR [flags]"
    page:section "description"
    page:paragraph(ABOUT)
    page:section "verbs"
    for _, entry in ipairs(verbs.list) do page:item(entry[1], entry[2]) end
    page:section "policy"
    page:paragraph(help.POLICY)
    exit_status(page)
    page:section "environment"
    for _, row in ipairs(ENVIRONMENT) do page:item(row[1], row[2]) end
    page:section "examples"
    page:raw "A vault of your own, a secret in it, and why the answer is what it is:"
    page:code(EXAMPLE)
    local pages = others(nil)
    pages[#pages + 1] = "moonlatch(3)"
    table.remove(pages, 1)
    page:see_also(pages)
    return page
end

-- { ["man1/moonlatch.1"] = text, ... }
function M.pages(root, release)
    local pages = { ["man1/moonlatch.1"] = overview(release):text() }
    for _, verb in ipairs(verbs.names()) do
        pages[("man1/%s.1"):format(page_of(verb))] = verb_page(verb, root, release):text()
    end
    return pages
end

return M
