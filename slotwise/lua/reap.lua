#!lua flags=allow-oom
-- reap: end the lease of a worker that gave no sign of life for its whole length, by the caller's own clock;
-- or, with the sequence '' , of a worker that leaves by itself.
--
-- KEYS  1 queue  2 running  3 leases  4 worker  5 held  6 cap  7 log  8 meter  9 counts
--       10 prefix of the running sets of an algorithm  11.. record, payload, in-progress, retry, result, said prefixes, then the
--       prefix of the pending sets of an algorithm, serves  served  hungry  loads  prefix of the rows of workers  23.. the index, moves
-- ARGV  1 incarnation  2 the lease as the observer saw it stand still ('' = the worker itself leaves)
-- returns  {'ok', number of attempts that wait again} or {'moved'} when the lease has moved since
--
-- after: every job it held is `pending` in its old place, the attempt not counted; a death is counted against
-- the job when the worker died, and `claim` gives up on a job after three.
local QUEUE, RUNNING, LEASES, WORKER, HELD, CAP, LOG, METER, COUNTS, RUNNING_OF, RECORD, _, IN_PROGRESS = unpack(KEYS)
local PENDING_OF, SERVES, SERVED, HUNGRY, LOADS, ROW = unpack(KEYS, 17)
-- part: clock
-- part: cap
-- part: log
-- part: meter
-- part: counts
-- part: history
-- part: index
-- part: pending
-- part: moves
-- part: muster
-- part: waiting
-- part: suspect
local died = ARGV[2] ~= ''
if died and redis.call('HGET', LEASES, ARGV[1]) ~= ARGV[2] then
  return {'moved'}
end
local now, exact = clock()
local held, released = redis.call('HGETALL', HELD), {}
for i = 1, #held, 2 do
  local id = held[i]
  give_up_slot(id, held[i + 1])
  wait_again(id, held[i + 1], died and 'died' or 'release', now, exact)
  if died then
    local deaths = tonumber(redis.call('HGET', RECORD .. id, 'deaths') or 0) or 0
    redis.call('HSET', RECORD .. id, 'deaths', deaths + 1)
  end
  released[#released + 1] = id
end
if #released > 0 then
  local cap = cap_in_force(CAP, now)
  write_log(now, died and 'reap' or 'leave', released, cap)
end
local reserved = redis.call('HGET', WORKER, 'reserved')
if reserved and waits_to_run_alone(reserved) then
  local score = tonumber(redis.call('HGET', RECORD .. reserved, 'score') or exact) or exact
  redis.call('ZADD', QUEUE, math.min(score, exact), reserved)
end
for _, name in ipairs(redis.call('SMEMBERS', SERVES)) do
  if redis.call('HINCRBY', SERVED, name, -1) <= 0 then
    redis.call('HDEL', SERVED, name)
  end
end
redis.call('ZREM', HUNGRY, ARGV[1])
redis.call('ZREM', LOADS, ARGV[1])
redis.call('HDEL', LEASES, ARGV[1])
redis.call('DEL', WORKER, HELD, SERVES)
if died then
  count('leases_expired')
end
measure(exact, (cap_in_force(CAP, now)), slots_of_workers())
write_counts()
write_pending()
moves.write(now)
return {'ok', #held / 2}
