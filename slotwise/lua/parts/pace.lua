-- pace: how long jobs hold their slots, of each algorithm (':name') and of all (''): moving averages over the last fifty or so
-- of the time (ms) and of its square, from which the estimates of waiting are made; and what they use while they do:
-- the same average of their CPU time (ms), and the most memory (MB), which is forgotten at the same pace.
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

local function keep_usage(name, used)  -- {{cpu ms, MB or nil}, …}
  local p = redis.call('HMGET', PACE, 'cpu_n:' .. name, 'cpu:' .. name, 'peak:' .. name)
  local n, cpu, peak = tonumber(p[1] or 0), tonumber(p[2] or 0), tonumber(p[3] or nil)
  for _, one in ipairs(used) do
    n = n + 1
    cpu = cpu + math.max(1 / n, LEAST_WEIGHT) * (one[1] - cpu)
    if one[2] then
      peak = math.max(one[2], (peak or 0) + LEAST_WEIGHT * (one[2] - (peak or 0)))
    end
  end
  redis.call('HSET', PACE, 'cpu_n:' .. name, n, 'cpu:' .. name, cpu, unpack(peak and {'peak:' .. name, peak} or {}))
end
