#!lua flags=allow-oom
-- settle: what came of telling a webhook; only by the token that the telling has.
--
-- KEYS  1 receivers  2 prefixes: due, outbox  4 deliveries  5 counts  6 prefixes: attempts, record
-- ARGV  1 now ms ('' = TIME)  2 id  3 receiver  4 entry  5 token  6 'done' | 'again' | 'release'
--       7 ms when it is due again ('' = now)  8 outcome, to be counted ('' = none)  9 the attempt as JSON
--       10 most attempts to keep  11 ms to keep them while the job has not ended
-- returns  'ok' | 'superseded' (not due again: something later is told in its place) | 'stale'
--
-- after: done: the entry is gone, and what the job's webhook is told next is due. again: due again, the attempt counted;
-- but what is not a job's end is not tried again once something later is there to tell. release: as before.
local RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES, COUNTS, ATTEMPTS_OF, RECORD = unpack(KEYS)
-- part: clock
-- part: counts
-- part: receivers
local now, id, receiver, entry, move = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[6]
local LASTS = {completed = true, failed = true, cancelled = true}
local told, attempts, teller = delivery_of(id)
if told ~= entry or teller ~= ARGV[5] then
  return 'stale'
end

local head, kind = entry_at(id, 0)  -- another one, where a later word of its progress took its place

local function note()
  local kept_ms = redis.call('PTTL', RECORD .. id)
  if ARGV[9] == '' or kept_ms == -2 then  -- nobody could ask for them
    return
  end
  local key = ATTEMPTS_OF .. id
  redis.call('RPUSH', key, ARGV[9])
  redis.call('LTRIM', key, -ARGV[10], -1)
  redis.call('PEXPIRE', key, kept_ms > 0 and kept_ms or ARGV[11])
end

-- Whether it is no job's end, and something later waits.
local function superseded()
  local own = head == entry
  return not (own and LASTS[kind]) and redis.call('LLEN', OUTBOX_OF .. id) > (own and 1 or 0)
end

local reply = 'ok'
if move == 'again' and superseded() then
  move, reply = 'done', 'superseded'
end
if move == 'done' then
  if head == entry then
    redis.call('LPOP', OUTBOX_OF .. id)
  end
  redis.call('HDEL', DELIVERIES, id)
  if redis.call('EXISTS', OUTBOX_OF .. id) == 0 then
    redis.call('ZREM', DUE_OF .. receiver, id)
  else
    redis.call('ZADD', DUE_OF .. receiver, now, id)
  end
else
  redis.call('HSET', DELIVERIES, id, entry .. ' ' .. attempts + (move == 'again' and 1 or 0) .. ' -')
  redis.call('ZADD', DUE_OF .. receiver, ARGV[7] == '' and now or ARGV[7], id)
end
local first = redis.call('ZRANGE', DUE_OF .. receiver, 0, 0, 'WITHSCORES')
if first[1] then
  redis.call('ZADD', RECEIVERS, first[2], receiver)
else
  redis.call('ZREM', RECEIVERS, receiver)
end
pcall(note)
if ARGV[8] ~= '' then
  count('webhooks:' .. ARGV[8])
  write_counts()
end
return reply
