#!lua flags=allow-oom
-- drain: let a worker finish what it has and take no more; or let it take jobs again.
--
-- KEYS  1 leases  2 drained  3 suspects  4 prefix of the rows of workers  5 cap  6 meter  7 running
-- ARGV  1 name  2 'drain' or 'resume'  3 now ms ('' = TIME)
-- returns  number of live incarnations of that name
--
-- after: the row of each carries `drained`, or does not. The process is in `drained` too, from which `enlist` marks
-- a later incarnation of the same process, whether or not it ever heard of the drain; a process that is started anew
-- is another one, and takes jobs. Workers listen to `drained`: a resumed one asks for jobs at once.
local LEASES, DRAINED, SUSPECTS, ROW, CAP, METER, RUNNING = unpack(KEYS)
local FORGOTTEN_MS = 86400000  -- after which a process without a lease is no more
-- part: clock
-- part: cap
-- part: meter
-- part: muster
local name, drain, now, exact = ARGV[1], ARGV[2] == 'drain', clock(ARGV[3])
local found, alive = 0, {}
for _, incarnation in ipairs(redis.call('HKEYS', LEASES)) do
  local row = ROW .. incarnation
  local r = redis.call('HMGET', row, 'name', 'process', 'reserved')
  alive[r[2] or ''] = true
  if r[1] == name then
    found = found + 1
    if drain then
      redis.call('HSET', row, 'drained', now)
    else
      redis.call('HDEL', row, 'drained')
    end
    if drain and r[2] then
      redis.call('ZADD', DRAINED, now, r[2])
    elseif r[2] then
      redis.call('ZREM', DRAINED, r[2])
    end
    if drain and r[3] then  -- a job that was to run alone here, once the others are done: let another worker do so
      redis.call('ZADD', SUSPECTS, now, r[3])
      redis.call('HDEL', row, 'reserved')
    end
  end
end
for _, process in ipairs(redis.call('ZRANGEBYSCORE', DRAINED, '-inf', now - FORGOTTEN_MS)) do
  if not alive[process] then
    redis.call('ZREM', DRAINED, process)
  end
end
measure(exact, (cap_in_force(CAP, now)), slots_of_workers())
return found
