-- POSTs to a token endpoint, and looks at every answer. Arguments behind "--": the form, and for refresh grants a file
-- with a refresh token a line. Each of them is used once; what its answer gives is used in turn, so at no time are two
-- requests under way with the same one. Prints wrk.lua's line and one of its own.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "wrk.lua")

local report = done
local threads = {}
local form, tokens, first, last, seen

answers, wrong, repeated = 0, 0, 0
complaint = ""

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
    form = arguments[1]
    wrk.body = form
    if arguments[2] then
        tokens, first, last, seen = {}, 1, 0, {}
        for line in io.lines(arguments[2]) do put(line) end
        request = refresh
    end
end

function put(token)
    if seen[token] then repeated = repeated + 1 end
    seen[token] = true
    last = last + 1
    tokens[last] = token
end

function refresh()
    local token = tokens[first] or ""  -- an empty one is refused, and so counted: none was left
    tokens[first] = nil
    if first <= last then first = first + 1 end
    return wrk.format(nil, nil, nil, form .. "&refresh_token=" .. token)
end

function response(status, _, body)
    local token = tokens and body:match('"refresh_token"%s*:%s*"([^"]+)"')
    if status ~= 200 or not body:find('"access_token"', 1, true) or (tokens and not token) then
        if wrong == 0 then complaint = status .. " " .. body:gsub("%s+", " "):sub(1, 200) end
        wrong = wrong + 1
        return
    end
    answers = answers + 1
    if token then put(token) end
end

done = function(summary, latency, requests)
    report(summary, latency, requests)
    local sums, said = { answers = 0, wrong = 0, repeated = 0 }, ""
    for _, thread in ipairs(threads) do
        for name in pairs(sums) do sums[name] = sums[name] + thread:get(name) end
        said = said .. thread:get("complaint")
    end
    io.write(string.format("token-result answers=%d wrong=%d repeated=%d\n", sums.answers, sums.wrong, sums.repeated))
    if said ~= "" then io.write("first wrong answer: " .. said .. "\n") end
end
