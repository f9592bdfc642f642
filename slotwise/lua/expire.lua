#!lua flags=allow-oom
-- expire: end jobs whose time to be started is over, and that never were.
--
-- KEYS  1 queue  2 promote  3 unstarted  4 abort  5.. record, payload, in-progress, retry, result prefixes
-- ARGV  1 now ms ('' = TIME)  2 most jobs to end in this call  3 ms to keep record and envelope
--       4 error JSON  5 channel of ended jobs
-- returns  number of jobs that it ended
--
-- after: each is `failed`, out of the queue, its payload gone, record and envelope under a TTL.
local QUEUE, PROMOTE, UNSTARTED, ABORT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local RECORD, PAYLOAD, RESULT = KEYS[5], KEYS[6], KEYS[9]
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local ended = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', UNSTARTED, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  redis.call('ZREM', UNSTARTED, id)
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'started', 'expires', 'keep_result')
  -- else it has started or ended meanwhile, or another job has the id now
  if r[1] == 'pending' and not r[2] and r[3] and tonumber(r[3]) <= now then
    local keep = r[4] and math.floor(r[4] * 1000) or ARGV[3]
    local payload = redis.call('MGET', PAYLOAD .. id)[1]
    redis.call('ZREM', QUEUE, id)
    redis.call('ZREM', PROMOTE, id)
    redis.call('ZREM', ABORT, id)
    redis.call('DEL', PAYLOAD .. id)
    redis.call('HSET', RECORD .. id, 'state', 'failed', 'ended', now, 'error', ARGV[4])
    redis.call('PEXPIRE', RECORD .. id, keep)
    if payload and string.find(payload, '^{".*}$') then
      -- the envelope is the payload's JSON with the outcome's keys put behind: nothing is decoded here
      redis.call('SET', RESULT .. id, string.sub(payload, 1, -2) .. ',"s":false,"r":' .. ARGV[4] .. ',"st":' .. now
        .. ',"ft":' .. now .. ',"q":' .. cjson.encode(QUEUE) .. ',"id":' .. cjson.encode(id) .. '}', 'PX', keep)
    end
    redis.call('PUBLISH', ARGV[5], id)
    ended = ended + 1
  end
end
return ended
