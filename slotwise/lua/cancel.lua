#!lua flags=allow-oom
-- cancel: end a job that waits; ask the worker to end one that runs.
--
-- KEYS  1 queue  2 running  3 promote  4 abort  5.. record, payload, in-progress, retry, result prefixes
-- ARGV  1 id  2 now ms ('' = TIME)  3 ms to keep record and envelope  4 error JSON  5 channel of ended jobs
-- returns  'cancelled' | 'already-cancelled' | 'requested' | 'finished' | 'unknown'
--
-- after: a pending job is `cancelled`; a running one stays `running`, is marked in arq's own abort set, and
-- ends by its worker's finish.
local QUEUE, RUNNING, PROMOTE, ABORT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local RECORD, PAYLOAD, RETRY, RESULT = KEYS[5], KEYS[6], KEYS[8], KEYS[9]
local id, now = ARGV[1], tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local record = RECORD .. id

if redis.call('ZSCORE', RUNNING, id) then
  redis.call('HSET', record, 'cancel_requested', 1)
  redis.call('ZADD', ABORT, now, id)
  return 'requested'
end
local score = redis.call('ZSCORE', QUEUE, id)
if not score then
  local state = redis.call('HGET', record, 'state')
  if state == 'cancelled' then
    return 'already-cancelled'
  elseif state or redis.call('EXISTS', RESULT .. id) == 1 then
    return 'finished'
  end
  return 'unknown'
end

local payload = redis.call('GET', PAYLOAD .. id)
redis.call('ZREM', QUEUE, id)
redis.call('ZREM', PROMOTE, id)
redis.call('ZREM', ABORT, id)
redis.call('DEL', PAYLOAD .. id, RETRY .. id)
redis.call('HSET', record, 'state', 'cancelled', 'ended', now, 'due', redis.call('HGET', record, 'due') or score)
redis.call('PEXPIRE', record, ARGV[3])
if payload and string.find(payload, '^{".*}$') then
  -- the envelope is the payload's JSON with the outcome's keys put behind: nothing is decoded here
  redis.call('SET', RESULT .. id, string.sub(payload, 1, -2) .. ',"s":false,"r":' .. ARGV[4] .. ',"st":' .. now
    .. ',"ft":' .. now .. ',"q":' .. cjson.encode(QUEUE) .. ',"id":' .. cjson.encode(id) .. '}', 'PX', ARGV[3])
end
redis.call('PUBLISH', ARGV[5], id)
return 'cancelled'
