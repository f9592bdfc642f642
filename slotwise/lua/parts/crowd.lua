-- crowd: whether as many jobs of an algorithm wait as its own cap or rate may let start: those that come after them
-- cannot start before these did.
--
-- Needs the part cap, LIMITS, PENDING_OF, now.
local crowds = {}  -- algorithm -> {jobs that may start, jobs that wait}; false where nothing limits it

local function crowd_of(algorithm)
  local l = redis.call('HMGET', LIMITS, 'declared:' .. algorithm, 'override:' .. algorithm, 'until:' .. algorithm,
    'rate:' .. algorithm)
  local most = standing(l[1], l[2], l[3], now)
  local starts = l[4] and tonumber(string.match(l[4], '^%d+'))
  if not most and not starts then
    return false
  end
  return {math.min(most or math.huge, starts or math.huge), redis.call('ZCARD', PENDING_OF .. algorithm)}
end

-- Called once for each new job that is due.
local function crowded(algorithm)
  if crowds[algorithm] == nil then
    crowds[algorithm] = crowd_of(algorithm)
  end
  local crowd = crowds[algorithm]
  if not crowd then
    return false
  end
  crowd[2] = crowd[2] + 1
  return crowd[2] > crowd[1]
end
