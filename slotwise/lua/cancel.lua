#!lua flags=allow-oom
-- cancel: end a job that waits; ask the worker to end one that runs.
--
-- KEYS  1 queue  2 running  3 promote  4 unstarted  5 abort  6 counts  7 parked
--       8 served  9 catalogue  10 prefixes of the sets of an algorithm: parked, pending  12.. record, payload, in-progress, retry, result, said prefixes,
--       then the outbox, the index, moves
-- ARGV  1 id  2 now ms ('' = TIME)  3 ms to keep record and envelope  4 error JSON  5 channel of ended jobs
--       6 tenant who asks ('' = may see all)
-- returns  'cancelled' | 'already-cancelled' | 'requested' | 'finished' | 'unknown'
--
-- after: a pending job is `cancelled`; a running one stays `running`, is marked in arq's own abort set, and
-- ends by its worker's finish.
local QUEUE, RUNNING, PROMOTE, UNSTARTED, ABORT, COUNTS, PARKED, SERVED, CATALOGUE, PARKED_OF, PENDING_OF, RECORD, PAYLOAD, _, RETRY,
  RESULT, SAID, RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES = unpack(KEYS)
local ENDED = ARGV[5]
-- part: clock
-- part: cap
-- part: counts
-- part: label
-- part: stock
-- part: index
-- part: labels
-- part: failures
-- part: pending
-- part: receivers
-- part: outbox
-- part: moves
-- part: ending
-- part: owner
local id, now = ARGV[1], clock(ARGV[2])

if not is_seen_by(id, ARGV[6]) then
  return 'unknown'
end
if redis.call('ZSCORE', RUNNING, id) then
  redis.call('HSET', RECORD .. id, 'cancel_requested', 1)
  redis.call('ZADD', ABORT, now, id)
  return 'requested'
end
local score = redis.call('ZSCORE', QUEUE, id)
if score then
  if HAS_ENDED[redis.call('HGET', RECORD .. id, 'state')] then
    forget_earlier(id)
  end
  local due = redis.call('HGET', RECORD .. id, 'due') or score
  end_waiting(id, now, 'cancelled', ARGV[4], ARGV[3], 'due', due)
  write_counts()
  write_pending()
  write_index()
  moves.write(now)
  return 'cancelled'
end
local state = redis.call('HGET', RECORD .. id, 'state')
if state == 'cancelled' then
  return 'already-cancelled'
elseif state or redis.call('EXISTS', RESULT .. id) == 1 then
  return 'finished'
end
return 'unknown'
