-- idle: how long a job that starts has waited, and for how much of that a slot stood idle: from when it was due, and
-- a slot free. Not for one that was parked: it could not have taken the slot.
--
-- Needs METER, exact, left_parking, observe().
local idle, free_since = 0, tonumber(redis.call('HGET', METER, 'free_since') or 0) or exact

local function count_wait(id, ready)
  observe('wait', math.max(0, exact - ready), '')
  if not left_parking[id] then
    local pickup = math.max(0, exact - math.max(ready, free_since))
    idle = idle + pickup
    observe('pickup', pickup, '')
  end
end
