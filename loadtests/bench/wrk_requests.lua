-- Asks what a file lists, a line "METHOD PATH TOKEN" each, from the first to the last. Arguments behind "--": the file,
-- "once" or "again" for what follows the last, and how many bytes of body a request has. Prints wrk.lua's line.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "wrk.lua")

local asked, at, once = {}, 0, true

function init(arguments)
    once = arguments[2] == "once"
    local size = tonumber(arguments[3] or "0")
    local body = size > 0 and string.rep("x", size) or nil
    for line in io.lines(arguments[1]) do
        local method, path, token = line:match("^(%S+) (%S+) (%S+)$")
        asked[#asked + 1] = wrk.format(method, path, { ["Host"] = wrk.headers["Host"], ["Authorization"] = "Bearer " .. token }, body)
    end
    -- What is asked once is no longer than what fits into the time; what comes behind it is refused, and counted so.
    asked[#asked + 1] = once and wrk.format("GET", "/", { ["Host"] = wrk.headers["Host"] }) or nil
end

function request()
    if at < #asked then
        at = at + 1
    elseif not once then
        at = 1
    end
    return asked[at]
end
