#!lua flags=allow-oom
-- enlist: begin the lease of one start of a worker.
--
-- KEYS  1 leases  2 worker  3 serves  4 served  5 drained  6 cap  7 meter  8 running  9 prefix of the rows of workers
-- ARGV  1 incarnation  2 lease's length in ms  3 number of functions it serves, their names,
--       then fields and values of the worker's row
-- returns  'ok'
--
-- after: observers watch "sequence length_ms"; the worker may claim. No key has a TTL: a clock decides no
-- ownership, only an observer that saw the sequence stand still for the whole length does. Sent again (its reply
-- was lost) it changes nothing but the lease's sequence. A process that was drained stays so in all its incarnations.
local LEASES, WORKER, SERVES, SERVED, DRAINED, CAP, METER, RUNNING, ROW = unpack(KEYS)
-- part: clock
-- part: cap
-- part: meter
-- part: muster
local now, exact = clock()
local names = tonumber(ARGV[3])
for i = 4, 3 + names do
  if redis.call('SADD', SERVES, ARGV[i]) == 1 then
    redis.call('HINCRBY', SERVED, ARGV[i], 1)
  end
end
redis.call('HSET', LEASES, ARGV[1], '0 ' .. ARGV[2])
redis.call('HSET', WORKER, 'seen', now, unpack(ARGV, 4 + names))
local since = redis.call('ZSCORE', DRAINED, redis.call('HGET', WORKER, 'process') or '')
if since then
  redis.call('HSET', WORKER, 'drained', since)
end
measure(exact, (cap_in_force(CAP, now)), slots_of_workers())
return 'ok'
