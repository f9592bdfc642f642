-- ending: end a job that waits. Its envelope is its payload's JSON with the outcome's keys put behind: nothing is
-- decoded here. State after: terminal; out of the queue and of wherever it stood aside, its payload gone.
--
-- Needs QUEUE, PROMOTE, UNSTARTED, ABORT, PARKED, PARKED_OF, RECORD, PAYLOAD, RETRY, RESULT, SAID, ENDED (the channel of
-- ended jobs), moves.note(), count(), label(), leave_pending(), algorithm_of(), created_of(), the parts index,
-- failures and outbox.
local function end_waiting(id, now, state, failure, keep, ...)
  local payload, r = redis.call('MGET', PAYLOAD .. id)[1], redis.call('HMGET', RECORD .. id, 'state', 'algorithm',
    'created', 'tenant', 'attempt', 'webhook_events')
  local algorithm, created = algorithm_of(r[2], payload) or '', created_of(r[3], payload, now)
  note_name(algorithm)
  redis.call('ZREM', QUEUE, id)
  redis.call('ZREM', PROMOTE, id)
  redis.call('ZREM', UNSTARTED, id)
  redis.call('ZREM', ABORT, id)
  for _, set in ipairs(redis.call('SMEMBERS', PARKED)) do  -- a stock client's job has no record to say in which it is
    if redis.call('ZREM', PARKED_OF .. set, id) == 1 and not string.find(set, MARK, 1, true) then
      leave_pending(set, id)
    end
  end
  redis.call('DEL', PAYLOAD .. id, RETRY .. id)
  redis.call('HSET', RECORD .. id, 'state', state, 'ended', now, 'ended_waiting', 1, 'created', created, ...)
  if not r[2] and algorithm ~= '' then
    redis.call('HSET', RECORD .. id, 'algorithm', algorithm)
  end
  redis.call('PEXPIRE', RECORD .. id, keep)
  redis.call('PEXPIRE', SAID .. id, keep)
  if payload and string.find(payload, '^{".*}$') then
    redis.call('SET', RESULT .. id, string.sub(payload, 1, -2) .. ',"s":false,"r":' .. failure .. ',"st":' .. now
      .. ',"ft":' .. now .. ',"q":' .. cjson.encode(QUEUE) .. ',"id":' .. cjson.encode(id) .. '}', 'PX', keep)
  end
  if not r[1] then
    count('created:' .. label(algorithm))
  end
  count('completed:' .. state .. ':' .. label(algorithm))
  leave_pending(algorithm, id, r[4])
  index_ended(id, state, algorithm, failure, created, now + keep)
  moves.note(id, state, '', r[5] or 0, state == 'failed' and error_type(failure) or '', algorithm)
  if state == 'failed' then
    count_failure(id, algorithm, failure, '', now, r[4])
  end
  if r[6] then
    tell(id, state, now, now + keep, payload)
  end
  redis.call('PUBLISH', ENDED, id)
end
