-- waiting: put a job whose attempt does not count back into its old place.
--
-- Needs QUEUE, RUNNING, RECORD, IN_PROGRESS, RUNNING_OF. `held` is what `claim` wrote: the token, and the algorithm.
local function give_up_slot(id, held)
  local algorithm = string.match(held, '^%S+ (.*)$')
  redis.call('ZREM', RUNNING, id)
  redis.call('DEL', IN_PROGRESS .. id)
  if algorithm then
    redis.call('ZREM', RUNNING_OF .. algorithm, id)
  end
end

local function wait_again(id, now)
  redis.call('HINCRBY', RECORD .. id, 'attempt', -1)
  redis.call('HSET', RECORD .. id, 'state', 'pending', 'reason', 'queued', 'ready', now)
  redis.call('ZADD', QUEUE, redis.call('HGET', RECORD .. id, 'score') or now, id)
end
