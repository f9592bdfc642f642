#!lua flags=allow-oom
-- finish: end attempts and give their slots back; each only if its token still owns the job.
--
-- KEYS  1 queue  2 running  3 held  4 abort  5.. record, payload, in-progress, retry, result prefixes
-- ARGV  1 now ms ('' = TIME)  2 channel of ended jobs, then for each attempt:
--       id, token, outcome, algorithm ('' = as recorded), error JSON, envelope ('' = none kept),
--       ms to keep ('' = for ever), ms until the retry, ms to keep the in-progress mark (cron; '0' = not),
--       the attempt's number
--       outcome = 'completed' | 'failed' | 'cancelled' | 'retry' | 'release' | 'died'
-- returns  {'ok' | 'again' | 'stale', …}: `again` = this very finish was done before (its reply was lost);
--          `stale` = the job is no longer this attempt's, and nothing was changed
--
-- after: terminal: the job is out of the queue, its payload gone, result and record under a TTL.
-- retry: `pending` at now + delay, the attempt counted. release: `pending` in its old place, not counted.
-- died: as release, and a death is counted against the job, as when its whole worker dies.
local QUEUE, RUNNING, HELD, ABORT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local RECORD, PAYLOAD, IN_PROGRESS, RETRY, RESULT = KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local RETRY_TTL = 88400  -- s, as arq keeps it
local LEAST_RECORD_TTL = 60000  -- ms that a record outlives a result that is not kept
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function wait_again(id, record, outcome, delay, attempt)
  if outcome == 'retry' then
    -- a cancel came while it ended: it is due at once, and the next claim ends it
    local due = redis.call('HEXISTS', record, 'cancel_requested') == 1 and now or now + delay
    redis.call('HSET', record, 'state', 'pending', 'reason', 'retrying', 'due', due, 'score', due,
      'attempt', attempt)
    redis.call('SET', RETRY .. id, attempt, 'EX', RETRY_TTL)
    redis.call('ZADD', QUEUE, due, id)
  else
    redis.call('HINCRBY', record, 'attempt', -1)
    if outcome == 'died' then
      redis.call('HINCRBY', record, 'deaths', 1)
    end
    redis.call('HSET', record, 'state', 'pending', 'reason', 'queued')
    redis.call('ZADD', QUEUE, redis.call('HGET', record, 'score'), id)
  end
end

local function close(id, record, outcome, envelope, keep)
  redis.call('ZREM', QUEUE, id)
  redis.call('ZREM', ABORT, id)
  redis.call('DEL', PAYLOAD .. id, RETRY .. id)
  redis.call('HSET', record, 'state', outcome, 'ended', now)
  if keep == '' then
    redis.call('PERSIST', record)
  else
    redis.call('PEXPIRE', record, math.max(LEAST_RECORD_TTL, tonumber(keep)))
  end
  if envelope ~= '' then
    redis.call('SET', RESULT .. id, envelope)
    if keep ~= '' then
      redis.call('PEXPIRE', RESULT .. id, keep)
    end
  end
  redis.call('PUBLISH', ARGV[2], id)
end

local replies = {}
for at = 3, #ARGV, 10 do
  local id, token, outcome, algorithm, failure = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local record = RECORD .. id
  local r = redis.call('HMGET', record, 'token', 'done')
  if r[1] == token then
    redis.call('ZREM', RUNNING, id)
    redis.call('HDEL', HELD, id)
    local mark = tonumber(ARGV[at + 8])
    if mark > 0 then
      redis.call('SET', IN_PROGRESS .. id, 'done', 'PX', mark)
    else
      redis.call('DEL', IN_PROGRESS .. id)
    end
    redis.call('HDEL', record, 'token')
    redis.call('HSET', record, 'done', token)
    if algorithm ~= '' then
      redis.call('HSET', record, 'algorithm', algorithm)
    end
    if failure ~= '' then
      redis.call('HSET', record, 'error', failure)
    end
    if outcome == 'retry' or outcome == 'release' or outcome == 'died' then
      wait_again(id, record, outcome, tonumber(ARGV[at + 7]), ARGV[at + 9])
    else
      close(id, record, outcome, ARGV[at + 5], ARGV[at + 6])
    end
    replies[#replies + 1] = 'ok'
  else
    replies[#replies + 1] = r[2] == token and 'again' or 'stale'
  end
end
return replies
