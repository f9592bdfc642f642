-- alone: a job under which all but one of the workers it may cost have died runs alone on the next, so that the death
-- of that one is no neighbour's.
--
-- Needs QUEUE, HELD, WORKER, SUSPECTS, HIDDEN, now, grants, admit_from().
local PATIENCE_MS = 2000  -- that such a job waits for an idle worker before a busy one is emptied for it

-- True when this claim may grant nothing else.
local function keep_alone()
  local alone, reserved = unpack(redis.call('HMGET', WORKER, 'alone', 'reserved'))
  if alone and redis.call('HEXISTS', HELD, alone) == 1 then
    return true
  end
  local busy = redis.call('HLEN', HELD) > 0
  if not reserved then
    local oldest = redis.call('ZRANGE', SUSPECTS, 0, 0, 'WITHSCORES')
    if not oldest[1] or (busy and oldest[2] + PATIENCE_MS > now) then
      return false
    end
    reserved = oldest[1]
    redis.call('ZREM', SUSPECTS, reserved)
    redis.call('HSET', WORKER, 'reserved', reserved)
  end
  if busy then
    return true
  end
  redis.call('HDEL', WORKER, 'reserved')
  if redis.call('ZSCORE', QUEUE, reserved) then  -- else it was cancelled meanwhile
    redis.call('HSET', WORKER, 'alone', reserved)
    admit_from({reserved, HIDDEN}, 1, true)
  end
  return #grants > 0
end
