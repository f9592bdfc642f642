-- clock: the time of this move in ms, by the server's clock unless the caller gave one; `exact` with microseconds.
local function clock(given)
  local exact = tonumber(given)
  if not exact then
    local time = redis.call('TIME')
    exact = time[1] * 1000 + time[2] / 1000
  end
  return math.floor(exact), exact
end
