-- pace: how long jobs hold their slots, of each algorithm (':name') and of all (''): moving averages over the last fifty or so
-- of the time (ms) and of its square, from which the estimates of waiting are made.
--
-- Needs PACE.
local LEAST_WEIGHT = 0.02

local function keep_pace(whose, times)
  local p = redis.call('HMGET', PACE, 'n' .. whose, 'mean' .. whose, 'square' .. whose)
  local n, mean, square = tonumber(p[1] or 0), tonumber(p[2] or 0), tonumber(p[3] or 0)
  for _, ms in ipairs(times) do
    n = n + 1
    local weight = math.max(1 / n, LEAST_WEIGHT)
    mean, square = mean + weight * (ms - mean), square + weight * (ms * ms - square)
  end
  redis.call('HSET', PACE, 'n' .. whose, n, 'mean' .. whose, mean, 'square' .. whose, square)
end
