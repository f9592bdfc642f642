-- alone: a job under which all but one of the workers it may cost have died runs alone on the next, so that the death
-- of that one is no neighbour's.
--
-- Needs HELD, WORKER, SUSPECTS, RECORD, PAYLOAD, HIDDEN, now, grants, room(), algorithm_of(), admit_from(),
-- waits_to_run_alone().
local keep_alone
do  -- a script has 200 local names at most
local PATIENCE_MS = 2000  -- that such a job waits for an idle worker before a busy one is emptied for it
local SUSPECTS_LOOKED_AT = 20

-- The one that has waited longest of those that this worker may run: {id, since}.
local function oldest_suspect()
  local rows = redis.call('ZRANGE', SUSPECTS, 0, SUSPECTS_LOOKED_AT - 1, 'WITHSCORES')
  for i = 1, #rows, 2 do
    local recorded = redis.pcall('HGET', RECORD .. rows[i], 'algorithm')
    local algorithm = algorithm_of(type(recorded) == 'string' and recorded, redis.call('MGET', PAYLOAD .. rows[i])[1])
    if not algorithm or room(algorithm) > 0 then
      return rows[i], tonumber(rows[i + 1])
    end
  end
end

-- The job that waits for this worker to be idle, if one does. Who was set aside may have ended meanwhile, or run.
local function reserved_here(busy)
  local reserved = redis.call('HGET', WORKER, 'reserved')
  while not (reserved and waits_to_run_alone(reserved)) do
    local oldest, since = oldest_suspect()
    if not oldest or (busy and since + PATIENCE_MS > now) then
      redis.call('HDEL', WORKER, 'reserved')
      return nil
    end
    reserved = oldest
    redis.call('ZREM', SUSPECTS, reserved)
    redis.call('HSET', WORKER, 'reserved', reserved)
  end
  return reserved
end

-- True when this claim may grant nothing else.
function keep_alone()
  local alone, busy = redis.call('HGET', WORKER, 'alone'), redis.call('HLEN', HELD) > 0
  if alone and redis.call('HEXISTS', HELD, alone) == 1 then
    return true
  end
  local reserved = reserved_here(busy)
  if not reserved or busy then
    return reserved ~= nil
  end
  redis.call('HDEL', WORKER, 'reserved')
  redis.call('HSET', WORKER, 'alone', reserved)
  admit_from({reserved, HIDDEN}, 1, true)
  return #grants > 0
end
end
