#!lua
-- retry: let a job that failed or was cancelled wait again, its attempts from 0.
--
-- KEYS  1 queue  2 running  3 promote  4 unstarted  5 suspects  6 abort  7.. record, payload, in-progress, retry,
--       result, said prefixes, then cap  pace
--       prefix of the pending sets of an algorithm  tenants  17.. the index, moves
-- ARGV  1 id  2 now ms ('' = TIME)  3 random token of this retry  4 most jobs that may wait  5 head start ms
--       6 the envelope as the caller read it  7 the payload, made of that  8 tenant who asks ('' = may see all)
-- returns  {'ok', due ms}, also for the very same retry sent again (its reply was lost), whatever the job did since;
--          {'full', cap, ms that a job holds a slot ('' = not known yet)}; behind that
--          {'many', the most of its tenant's jobs that may wait} where it is that; {'unknown'}; {'moved'} when the job is no longer what the caller read, and nothing was changed
--
-- after: `pending`, due now, with a payload and a place in the queue; the record has its request left and none of
-- its past, and no TTL; the envelope is gone, so that arq's clients wait for the next one.
local QUEUE, RUNNING, PROMOTE, UNSTARTED, SUSPECTS, ABORT, RECORD, PAYLOAD, IN_PROGRESS, RETRY, RESULT, SAID,
  CAP, PACE, PENDING_OF, TENANTS = unpack(KEYS)
local id, token, head_start, envelope, payload = ARGV[1], ARGV[3], tonumber(ARGV[5]), ARGV[6], ARGV[7]
-- part: clock
-- part: cap
-- part: stock
-- part: index
-- part: pending
-- part: owner
-- part: moves
local now, exact = clock(ARGV[2])
-- part: bounds
local record = RECORD .. id
if not is_seen_by(id, ARGV[8]) then
  return {'unknown'}
end

local known = redis.call('HMGET', record, 'retried', 'due', 'tenant')
if known[1] == token then
  return {'ok', tonumber(known[2])}
end
-- no two ends of a job leave the same envelope, and whoever moves an ended job takes it away
if redis.call('GET', RESULT .. id) ~= envelope or redis.call('ZSCORE', QUEUE, id) then
  return {'moved'}
end
local own = known[3] and too_many(known[3], 1)
if own or redis.call('ZCARD', QUEUE) - redis.call('ZCARD', RUNNING) >= tonumber(ARGV[4]) then
  return {'full', (cap_in_force(CAP, now)), redis.call('HGET', PACE, 'mean') or '', own or nil}
end

-- what an earlier life may have left where scripts look by id; the mark is a cron job's, and would swallow it
for _, trace in ipairs({PROMOTE, UNSTARTED, SUSPECTS, ABORT}) do
  redis.call('ZREM', trace, id)
end
redis.call('DEL', IN_PROGRESS .. id, RETRY .. id, RESULT .. id, SAID .. id)

unindex_ended(id)
local score = exact - head_start
redis.call('HDEL', record, 'started', 'ended', 'error', 'done', 'deaths', 'worker', 'cancel_requested', 'expires',
  'head_start', 'ready', 'history', 'account', 'said', 'written', 'progress',
  'progress_of', 'incarnation', 'forgotten', 'ended_waiting', 'told')
redis.call('HSET', record, 'state', 'pending', 'reason', 'queued', 'attempt', 0, 'due', exact, 'score', score,
  'retried', token, 'reopened', now)
redis.call('PERSIST', record)
redis.call('SET', PAYLOAD .. id, payload)
redis.call('ZADD', QUEUE, score, id)
local r = redis.call('HMGET', record, 'algorithm', 'created')
if not r[2] then  -- a stock worker's job
  redis.call('HSET', record, 'created', created_of(nil, payload, now))
end
local algorithm = algorithm_of(r[1], payload) or ''
return_to_pending(algorithm, id, now, known[3])
moves.note(id, 'pending', 'queued', 0, '', algorithm)
write_pending()
write_index()
moves.write(now)
return {'ok', now}
