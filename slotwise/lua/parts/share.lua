-- share: who claims with every finish would keep the slots for ever. A worker with free slots that is below its share
-- of the cap is hungry; while another is, nobody else takes more than its share. Hunger is forgotten after a second,
-- so that a slot which is left to a worker that does not come is not left for long.
--
-- Needs HUNGRY, LOADS, HELD, HUNGER_MS, incarnation, cap, now.
local function fair_share()
  local wanting = redis.call('ZCARD', LOADS)  -- workers with running jobs, and the hungry that have none
  for _, other in ipairs(redis.call('ZRANGE', HUNGRY, 0, -1)) do
    if not redis.call('ZSCORE', LOADS, other) then
      wanting = wanting + 1
    end
  end
  return math.floor(cap / math.max(1, wanting))
end

-- At most how many of `free` slots this claim may take.
local function fair(free)
  redis.call('ZREMRANGEBYSCORE', HUNGRY, '-inf', now)
  local hungry = redis.call('ZSCORE', HUNGRY, incarnation)
  if redis.call('ZCARD', HUNGRY) <= (hungry and 1 or 0) then
    return free
  end
  local share = fair_share()
  return math.max(0, math.min(free, (hungry and math.max(1, share) or share) - redis.call('HLEN', HELD)))
end

-- Say how many jobs the worker holds now, and whether it has slots for more, and due jobs wait that the cap keeps out.
local function weigh(wants_more)
  local load = redis.call('HLEN', HELD)
  if load > 0 then
    redis.call('ZADD', LOADS, load, incarnation)
  else
    redis.call('ZREM', LOADS, incarnation)
  end
  if wants_more and load < math.max(1, fair_share()) then
    redis.call('ZADD', HUNGRY, now + HUNGER_MS, incarnation)
  else
    redis.call('ZREM', HUNGRY, incarnation)
  end
end
