-- room: how many more jobs of an algorithm this worker may start now, by the algorithm's own cap and rate; none where
-- others serve it and this worker does not.
--
-- Needs the parts cap and share_of, LIMITS, SERVES, SERVED, CATALOGUE, RUNNING_OF, STARTS_OF, now, exact, opens().
local tell_full_rates, room, take_room, enter_running, write_rooms
do  -- a script has 200 local names at most
local has_limits, rooms = redis.call('EXISTS', LIMITS) == 1, {}
local rates = {}  -- of an algorithm that has one: window, starts left in it

-- At most `count` starts in any window of that length: none is forgotten before it is out of every window.
local function room_by_rate(algorithm, rate)
  local starts, count, window = STARTS_OF .. algorithm, string.match(rate, '^(%d+) (%d+)$')
  redis.call('ZREMRANGEBYSCORE', starts, '-inf', exact - window)
  redis.call('ZREMRANGEBYSCORE', starts, '(' .. exact, '+inf')  -- of before the clock was set back
  local left = count - redis.call('ZCARD', starts)
  rates[algorithm] = {window = window, left = left}
  return left
end

local function room_by_limits(algorithm)
  local left = math.huge
  local l = redis.call('HMGET', LIMITS, 'declared:' .. algorithm, 'override:' .. algorithm, 'until:' .. algorithm,
    'rate:' .. algorithm)
  local most, ends = standing(l[1], l[2], l[3], now)
  if ends then
    opens(ends)
  end
  if most then
    left = most - redis.call('ZCARD', RUNNING_OF .. algorithm)
    caps[algorithm] = {most, left}
    left = fair_of(algorithm, most, left)
  end
  if l[4] then
    left = math.min(left, room_by_rate(algorithm, l[4]))
  end
  return left
end

-- Whom a full window turns away waits for it to open. This very claim may have filled it.
function tell_full_rates()
  for algorithm, rate in pairs(rates) do
    local first = rate.left <= 0 and redis.call('ZRANGE', STARTS_OF .. algorithm, 0, 0, 'WITHSCORES')[2]
    if first then
      opens(first + rate.window)
    end
  end
end

function room(algorithm)
  if not rooms[algorithm] then
    local others = redis.call('SISMEMBER', SERVES, algorithm) == 0
      and (redis.call('HEXISTS', SERVED, algorithm) == 1 or redis.call('HEXISTS', CATALOGUE, algorithm) == 1)
    rooms[algorithm] = others and 0 or (has_limits and room_by_limits(algorithm) or math.huge)
  end
  return rooms[algorithm]
end

function take_room(algorithm, token)
  rooms[algorithm] = rooms[algorithm] - 1
  if caps[algorithm] then
    caps[algorithm][2] = caps[algorithm][2] - 1
  end
  local rate = rates[algorithm]
  if rate then
    rate.left = rate.left - 1
    redis.call('ZADD', STARTS_OF .. algorithm, exact, token)
    redis.call('PEXPIRE', STARTS_OF .. algorithm, rate.window)
  end
end

-- The running sets are scored by when the job was made, as all from which jobs are listed.
local started_of = {}

function enter_running(algorithm, id, created)
  started_of[algorithm] = started_of[algorithm] or {}
  table.insert(started_of[algorithm], created)
  table.insert(started_of[algorithm], id)
end

function write_rooms()
  for algorithm, started in pairs(started_of) do
    redis.call('ZADD', RUNNING_OF .. algorithm, unpack(started))
  end
  started_of = {}
end
end
