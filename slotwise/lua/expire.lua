#!lua flags=allow-oom
-- expire: end jobs whose time to be started is over, and that never were.
--
-- KEYS  1 queue  2 promote  3 unstarted  4 abort  5 counts  6 parked
--       7 served  8 catalogue  9 prefixes of the sets of an algorithm: parked, pending  11.. record, payload, in-progress, retry, result, said prefixes,
--       then the outbox, the index, moves
-- ARGV  1 now ms ('' = TIME)  2 most jobs to end in this call  3 ms to keep record and envelope
--       4 error JSON  5 channel of ended jobs
-- returns  number of jobs that it ended
--
-- after: each is `failed`, out of the queue, its payload gone, record and envelope under a TTL. A few of the jobs that
-- only seem to wait do so no more.
local QUEUE, PROMOTE, UNSTARTED, ABORT, COUNTS, PARKED, SERVED, CATALOGUE, PARKED_OF, PENDING_OF, RECORD, PAYLOAD, _, RETRY, RESULT, SAID,
  RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES = unpack(KEYS)
local ENDED = ARGV[5]
-- part: clock
-- part: cap
-- part: counts
-- part: label
-- part: stock
-- part: index
-- part: failures
-- part: pending
-- part: receivers
-- part: outbox
-- part: moves
-- part: ending
local now, ended = clock(ARGV[1]), 0
-- part: strays
for _, id in ipairs(redis.call('ZRANGEBYSCORE', UNSTARTED, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  redis.call('ZREM', UNSTARTED, id)
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'expires', 'keep_result')
  -- else it has ended meanwhile, or another job has the id now; one that starts leaves this set for good
  if r[1] == 'pending' and r[2] and tonumber(r[2]) <= now then
    end_waiting(id, now, 'failed', ARGV[4], r[3] and math.floor(r[3] * 1000) or ARGV[3], 'error', ARGV[4])
    ended = ended + 1
  end
end
forget_strays(ARGV[3])
write_counts()
write_pending()
write_index()
moves.write(now)
return ended
