-- waiting: put a job whose attempt does not count back into its old place.
--
-- Needs QUEUE, RUNNING, RECORD, IN_PROGRESS, RUNNING_OF, remember_attempt(),
-- return_to_pending(), moves.note(). `held` is what `claim` wrote: the token, and the algorithm.
local function give_up_slot(id, held)
  redis.call('ZREM', RUNNING, id)
  redis.call('DEL', IN_PROGRESS .. id)
  if redis.call('ZREM', RUNNING_OF .. (string.match(held, '^%S+ (.*)$') or ''), id) == 0 then
    redis.call('ZREM', RUNNING_OF, id)  -- its cancel came first: it takes no room of its algorithm
  end
  if tenant_in(held) then
    redis.call('ZREM', RUNNING_OF .. MARK .. tenant_in(held), id)
  end
end

local function wait_again(id, held, outcome, now, exact)
  local score = redis.pcall('HGET', RECORD .. id, 'score')
  if type(score) == 'table' then  -- an error: no hash, so no record of ours
    redis.call('DEL', RECORD .. id)
    score = nil
  end
  local attempt = tonumber(redis.call('HGET', RECORD .. id, 'attempt') or 1) or 1
  redis.call('HSET', RECORD .. id, 'attempt', attempt - 1, 'state', 'pending', 'reason', 'queued', 'ready', now,
    'score', tonumber(score) or now)
  redis.call('ZADD', QUEUE, math.min(tonumber(score) or exact, exact), id)  -- the clock may have been set back since
  remember_attempt(id, outcome, now)
  local algorithm = string.match(held, '^%S+ (.*)$') or ''
  return_to_pending(algorithm, id, now, tenant_in(held))
  moves.note(id, 'pending', 'queued', attempt - 1, '', algorithm)
end
