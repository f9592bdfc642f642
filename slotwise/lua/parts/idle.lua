-- idle: how long a job that starts has waited, and for how much of that a slot stood idle: from when it was due, and
-- a slot free that a worker had room for. Not for one that was parked: it could not have taken the slot; but for one that
-- waited for its tenant's turn only.
--
-- One slot's time counts once, however many jobs waited meanwhile: what is counted is never more than the free slots'
-- own time, from when the first of them was due, less what was counted before (`spent`).
--
-- Needs METER, exact, left_parking, limits_in(), tenant(), observe(), free_rate() of the part meter.
local count_wait, write_idle
do  -- a script has 200 local names at most
local stood = redis.call('HMGET', METER, 'at', 'running', 'cap', 'room', 'free', 'spent', 'free_since')
local free_since = tonumber(stood[7] or nil) or exact
local waited, first_ready = 0, exact

-- The free slots' time up to `at`, which is not before the last step.
local function free_until(at)
  return tonumber(stood[5] or 0) + free_rate(stood[2], stood[3], stood[4]) * (at - (stood[1] or exact))
end

local function could_start(id)
  if not left_parking[id] then
    return true
  end
  local algorithm, whose = limits_in(left_parking[id])
  return algorithm == '' and tenant(whose).most == math.huge
end

function count_wait(id, ready)
  observe('wait', math.max(0, exact - ready), '')
  if could_start(id) then
    local pickup = math.max(0, exact - math.max(ready, free_since))
    waited, first_ready = waited + pickup, math.min(first_ready, ready)
    observe('pickup', pickup, '')
  end
end

-- After this claim. What stood free while nothing was due is nobody's to wait for.
function write_idle(more_are_due)
  local now_free, spent = math.max(0, free_until(exact)), tonumber(stood[6] or 0)
  if stood[1] and first_ready > tonumber(stood[1]) then
    spent = math.max(spent, free_until(first_ready))
  end
  local idle = math.max(0, math.min(waited, now_free - spent))
  redis.call('HINCRBY', METER, 'idle', math.floor(idle * 1000 + 0.5))
  redis.call('HSET', METER, 'spent', string.format('%.3f', more_are_due and spent + idle or now_free))
end
end
