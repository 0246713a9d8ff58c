-- text: reading what people type (durations, dates, k=v) and writing dates.
--
-- Readers return the value, or nil and a sentence; they never quote a value of k=v.
local M = {}

local unit_ms = { ms = 1, s = 1000, m = 60000, h = 3600000, [""] = 1000 }

-- "5s", "500ms", "2m", "1h"; a bare number is seconds.
function M.duration_ms(text)
    local number, unit = text:match("^(%d+%.?%d*)(%a*)$")
    local factor = number and unit_ms[unit]
    if not factor then return nil, "is not a duration: write 5s, 500ms, 2m or 1h" end
    local ms = math.floor(tonumber(number) * factor)
    if ms < 1 or ms > 86400000 then return nil, "must be between 1ms and 24h" end
    return ms
end

-- "name=value" -> name, value.
function M.key_value(text)
    local name, value = text:match("^([^=]+)=(.*)$")
    if not name then return nil, "must be NAME=VALUE" end
    return name, value
end

-- Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
local function days_of(y, m, d)
    if m <= 2 then y, m = y - 1, m + 12 end
    return 365 * y + y // 4 - y // 100 + y // 400 + (153 * (m - 3) + 2) // 5 + d - 719469
end

local function is_day(y, m, d)
    local next_y, next_m = y, m + 1
    if next_m > 12 then next_y, next_m = y + 1, 1 end
    return d >= 1 and d <= days_of(next_y, next_m, 1) - days_of(y, m, 1)
end

local wrong_time = "is not a time: write 2027-01-31, 2027-01-31T12:00:00Z or +90d"
local span_s = { m = 60, h = 3600, d = 86400, w = 604800 }

-- A date (midnight UTC), a UTC time, or a span from now ("+90d") -> unix seconds.
function M.time_s(text, now_s)
    local count, unit = text:match("^%+(%d+)([mhdw])$")
    if count then return now_s + tonumber(count) * span_s[unit] end
    local y, m, d, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
    if not y then return nil, wrong_time end
    y, m, d = tonumber(y), tonumber(m), tonumber(d)
    if m < 1 or m > 12 or not is_day(y, m, d) then return nil, wrong_time end
    local h, min, s = 0, 0, 0
    if rest ~= "" then
        h, min, s = rest:match("^[T ](%d%d):(%d%d):(%d%d)Z$")
        if not h then return nil, wrong_time end
        h, min, s = tonumber(h), tonumber(min), tonumber(s)
        if h > 23 or min > 59 or s > 59 then return nil, wrong_time end
    end
    return math.tointeger(days_of(y, m, d) * 86400 + h * 3600 + min * 60 + s)
end

-- Unix seconds -> "2027-01-31T12:00:00Z"; nil stays nil.
function M.utc(time_s)
    return time_s and os.date("!%Y-%m-%dT%H:%M:%SZ", time_s)
end

-- What a message may show: one line, no control bytes.
function M.printable(text)
    return (text:gsub("[%c\x7f]", "?"))
end

-- How many single-letter edits turn a into b.
local function distance(a, b)
    local row = {}
    for j = 0, #b do row[j] = j end
    for i = 1, #a do
        local diagonal = row[0]
        row[0] = i
        for j = 1, #b do
            local cost = a:byte(i) == b:byte(j) and 0 or 1
            diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
        end
    end
    return row[#b]
end

-- The candidate that was probably meant, or nil.
function M.closest(word, candidates)
    local best, best_distance
    for _, candidate in ipairs(candidates) do
        local d = distance(word, candidate)
        if candidate:sub(1, #word) == word then d = math.min(d, 1) end
        if d <= 1 + #candidate // 4 and (not best or d < best_distance) then
            best, best_distance = candidate, d
        end
    end
    return best
end

return M
