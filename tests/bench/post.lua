-- SPDX-License-Identifier: AGPL-3.0-or-later
-- wrk: the same form post again and again; PATH, BODY, BASIC and HOST come from the environment.
wrk.method = "POST"
wrk.path = os.getenv("POST_PATH")
wrk.body = os.getenv("POST_BODY")
wrk.headers["Authorization"] = "Basic " .. os.getenv("BASIC")
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Host"] = os.getenv("HOST")

function response(status, headers, body)
  if status ~= 200 then io.stderr:write(status .. " " .. body:sub(1, 200) .. "\n") end
end
