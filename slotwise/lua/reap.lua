#!lua flags=allow-oom
-- reap: end the lease of a worker that gave no sign of life for its whole length, by the caller's own clock;
-- or, with the sequence '' , of a worker that leaves by itself.
--
-- KEYS  1 queue  2 running  3 leases  4 worker  5 held  6.. record, payload, in-progress, retry, result prefixes
-- ARGV  1 incarnation  2 the lease as the observer saw it stand still ('' = the worker itself leaves)
-- returns  {'ok', number of attempts that wait again} or {'moved'} when the lease has moved since
--
-- after: every job it held is `pending` in its old place, the attempt not counted; a death is counted against
-- the job when the worker died, and `claim` gives up on a job after three.
local QUEUE, RUNNING, LEASES, WORKER, HELD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local RECORD, IN_PROGRESS = KEYS[6], KEYS[8]
local died = ARGV[2] ~= ''
if died and redis.call('HGET', LEASES, ARGV[1]) ~= ARGV[2] then
  return {'moved'}
end
local held = redis.call('HGETALL', HELD)
for i = 1, #held, 2 do
  local id, record = held[i], RECORD .. held[i]
  redis.call('ZREM', RUNNING, id)
  redis.call('DEL', IN_PROGRESS .. id)
  redis.call('HINCRBY', record, 'attempt', -1)
  if died then
    redis.call('HINCRBY', record, 'deaths', 1)
  end
  redis.call('HSET', record, 'state', 'pending', 'reason', 'queued')
  redis.call('ZADD', QUEUE, redis.call('HGET', record, 'score'), id)
end
local reserved = redis.call('HGET', WORKER, 'reserved')
local place = reserved and redis.call('ZSCORE', QUEUE, reserved) and redis.call('HGET', RECORD .. reserved, 'score')
if place then  -- it was to run alone on this worker
  redis.call('ZADD', QUEUE, place, reserved)
end
redis.call('HDEL', LEASES, ARGV[1])
redis.call('DEL', WORKER, HELD)
return {'ok', #held / 2}
