-- SPDX-License-Identifier: AGPL-3.0-or-later
-- wrk: every request spends a refresh token, every answer brings the next.  TOKENS names a file with one a line.
local free, head = {}, os.getenv("BASIC")
for line in io.lines(os.getenv("TOKENS")) do free[#free + 1] = line end


function request()
  local token = table.remove(free) or "none"
  return wrk.format("POST", "/oauth2/token", { ["Authorization"] = "Basic " .. head, ["Content-Type"] = "application/x-www-form-urlencoded",
    ["Host"] = os.getenv("HOST") }, "grant_type=refresh_token&refresh_token=" .. token)
end

function response(status, headers, body)
  local next = body:match('"refresh_token":"([^"]+)"')
  if next then free[#free + 1] = next else io.stderr:write(status .. " " .. body:sub(1, 200) .. "\n") end
end
