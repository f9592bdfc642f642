-- share_of: fair shares of an algorithm's own cap, as part `share` has them of the fleet's. A worker that an
-- algorithm's full cap keeps out, and that has fewer of it than its share, is hungry for it, for a second; while
-- another is, nobody takes more than its share.
--
-- Needs HUNGRY_OF, PARKED_OF, SERVED, HELD, LEFT_MS, incarnation, now, exact, opens().
local HUNGER_MS = 1000
local caps = {}  -- algorithm -> {its cap, how many of it are free}, of those that this claim met

local function held_of(algorithm)
  local count = 0
  for _, held in ipairs(redis.call('HVALS', HELD)) do
    if string.match(held, '^%S+ (.*)$') == algorithm then
      count = count + 1
    end
  end
  return count
end

local function share_of(algorithm, cap)
  return math.floor(cap / math.max(1, tonumber(redis.call('HGET', SERVED, algorithm) or 1)))
end

-- At most how many of `left` more jobs under the algorithm's cap this claim may start.
local function fair_of(algorithm, cap, left)
  local key = HUNGRY_OF .. algorithm
  if left <= 0 or redis.call('EXISTS', key) == 0 then
    return left
  end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  local hungry = redis.call('ZSCORE', key, incarnation)
  if redis.call('ZCARD', key) <= (hungry and 1 or 0) then
    return left
  end
  local share = share_of(algorithm, cap)
  local fair = math.max(0, math.min(left, (hungry and math.max(1, share) or share) - held_of(algorithm)))
  if fair < left then
    opens(exact + LEFT_MS)
  end
  return fair
end

-- Say for which of the algorithms that it met the worker is hungry after this claim, and for which it is not.
local function weigh_each(wants_more)
  for algorithm, c in pairs(caps) do
    local cap, left = c[1], c[2]
    local kept_out = wants_more and left <= 0 and redis.call('EXISTS', PARKED_OF .. algorithm) == 1
    if kept_out and held_of(algorithm) < math.max(1, share_of(algorithm, cap)) then
      redis.call('ZADD', HUNGRY_OF .. algorithm, now + HUNGER_MS, incarnation)
      redis.call('PEXPIRE', HUNGRY_OF .. algorithm, 60 * HUNGER_MS)  -- the hunger itself is told by the score
    else
      redis.call('ZREM', HUNGRY_OF .. algorithm, incarnation)
    end
  end
end
