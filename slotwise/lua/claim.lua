#!lua flags=allow-oom
-- claim: give due jobs to a worker, never so many that more run than the fleet's cap.
--
-- A slot is membership in `running`; its size is compared with the cap and added to in this one step.
--
-- KEYS  1 queue  2 running  3 promote  4 cap  5 leases  6 worker  7 held  8 abort  9 suspects
--       10.. record, payload, in-progress, retry, result prefixes
-- ARGV  1 incarnation  2 number of this exchange  3 slots asked for  4 random prefix of the tokens
--       5 whose requests to cancel count: 'requested' (made over HTTP) or 'any' (all of arq:abort)
--       6 '1': tell which of the jobs that the worker holds are to be cancelled  7 worker's name
--       8 now ms ('' = TIME)  9.. instead of the queue's head, these ids (a caller that picks its jobs itself)
-- returns  {'gone'} when the incarnation has no lease, else
--          {'ok', ms to the next due job (a decimal; '' = none), cap, {id, …} to cancel, {grant, …}}
--          grant = {id, token, attempt, score, notice, payload or '', timeout, max_attempts, keep_result}
--          notice = '' | 'expired' (no payload) | 'abort' (its cancel was asked for) | 'lost'
--
-- after: a granted job is `running`, out of sight in the queue (score HIDDEN, as a visibility timeout does),
-- held by this incarnation under a token that fences every later move. The same exchange sent again (its reply
-- was lost) grants nothing new and returns what it granted, as far as it is still held.
local QUEUE, RUNNING, PROMOTE, CAP, LEASES, WORKER, HELD, ABORT, SUSPECTS =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local RECORD, PAYLOAD, IN_PROGRESS, RETRY = KEYS[10], KEYS[11], KEYS[12], KEYS[13]
local HIDDEN = 9000000000000000  -- ms; past every due time, below 2^53
local DEATHS = 3  -- workers that may die under a job; the last time it runs alone
local PATIENCE_MS = 2000  -- that such a job waits for an idle worker before a busy one is emptied for it
local ABORT_MS = 604800000  -- that a request to cancel is remembered: a week
local LOOK_AT_MOST = 200  -- entries passed over in one call

local incarnation, number, asked, prefix, worker_name = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[7]
if redis.call('HEXISTS', LEASES, incarnation) == 0 then
  return {'gone'}
end
local now, exact = tonumber(ARGV[8]), tonumber(ARGV[8])
if not now then
  local time = redis.call('TIME')
  exact = time[1] * 1000 + time[2] / 1000
  now = math.floor(exact)
end

local function to_cancel(id)
  return redis.call('ZSCORE', ABORT, id)
    and (ARGV[5] == 'any' or redis.call('HEXISTS', RECORD .. id, 'cancel_requested') == 1)
end

local function grant(id, token)
  local r = redis.call('HMGET', RECORD .. id, 'attempt', 'score', 'deaths', 'timeout', 'max_attempts', 'keep_result')
  local payload = redis.pcall('GET', PAYLOAD .. id)
  if type(payload) == 'table' then  -- no string: whoever put it there put no job there
    payload = false
  end
  local notice = ''
  if not payload then
    notice = 'expired'
  elseif to_cancel(id) then
    notice = 'abort'
  elseif tonumber(r[3] or 0) >= DEATHS then
    notice = 'lost'
  end
  return {id, token, tonumber(r[1]), r[2], notice, payload or '', r[4] or '', r[5] or '', r[6] or ''}
end

local grants, cancels = {}, {}
if ARGV[6] == '1' and redis.call('EXISTS', ABORT) == 1 then
  redis.call('ZREMRANGEBYSCORE', ABORT, '-inf', now - ABORT_MS)  -- of jobs that had ended before
  local held = redis.call('HKEYS', HELD)
  for _, id in ipairs(held) do
    if to_cancel(id) then
      cancels[#cancels + 1] = id
    end
  end
end

local cap = tonumber(redis.call('HGET', CAP, 'configured') or 10)
if redis.call('HGET', WORKER, 'exchange') == number then
  local held = redis.call('HGETALL', HELD)
  for i = 1, #held, 2 do
    if string.sub(held[i + 1], 1, #prefix) == prefix then
      grants[#grants + 1] = grant(held[i], held[i + 1])
    end
  end
  return {'ok', '0', cap, cancels, grants}
end
redis.call('HSET', WORKER, 'exchange', number)

for _, id in ipairs(redis.call('ZRANGEBYSCORE', PROMOTE, '-inf', exact, 'LIMIT', 0, LOOK_AT_MOST)) do
  redis.call('ZREM', PROMOTE, id)
  local r = redis.call('HMGET', RECORD .. id, 'due', 'head_start')
  if r[1] and r[2] and redis.call('ZSCORE', QUEUE, id) == r[1] then
    local score = r[1] - r[2]
    redis.call('ZADD', QUEUE, score, id)
    redis.call('HSET', RECORD .. id, 'score', score)
  end
end

local put_aside = false
local function admit(id, score, alone)
  local in_progress = redis.pcall('GET', IN_PROGRESS .. id)
  if redis.call('ZSCORE', RUNNING, id) then  -- a stock client's abort made a running job visible
    redis.call('ZADD', QUEUE, HIDDEN, id)
    return
  elseif in_progress == 'done' then  -- a cron job that ran already, enqueued late by another worker
    redis.call('ZREM', QUEUE, id)
    redis.call('DEL', PAYLOAD .. id)
    return
  elseif type(in_progress) == 'string' then  -- a stock worker on the same queue has it
    redis.call('ZADD', QUEUE, now + math.max(1000, redis.call('PTTL', IN_PROGRESS .. id)), id)
    return
  end
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'attempt', 'cancel_requested', 'deaths')
  if r.err then  -- no hash: not a record of ours
    redis.call('DEL', RECORD .. id)
    r = {false, false, false, false}
  elseif r[1] ~= 'pending' and r[1] then  -- the id of a job that ended, enqueued anew
    redis.call('DEL', RECORD .. id)
    r = {false, false, false, false}
  end
  local asked_at = redis.call('ZSCORE', ABORT, id)
  if asked_at and not r[3] then  -- a cancel from before the job was enqueued was meant for an earlier job of this id
    local payload = redis.pcall('GET', PAYLOAD .. id)
    local enqueued = type(payload) == 'string' and string.match(string.sub(payload, -40), '"et":(%d+)}$')
    if enqueued and tonumber(asked_at) < tonumber(enqueued) then
      redis.call('ZREM', ABORT, id)
    end
  end
  if not alone and tonumber(r[4] or 0) == DEATHS - 1 and not to_cancel(id) then
    redis.call('ZADD', QUEUE, HIDDEN, id)
    redis.call('ZADD', SUSPECTS, now, id)
    put_aside = true
    return
  end
  local tries = r[2] or redis.pcall('GET', RETRY .. id)
  local attempt = (type(tries) == 'string' and tonumber(tries) or 0) + 1
  local token = prefix .. #grants
  redis.call('ZADD', QUEUE, HIDDEN, id)
  redis.call('ZADD', RUNNING, now, id)
  redis.call('HSET', HELD, id, token)
  redis.call('SET', IN_PROGRESS .. id, '1')
  redis.call('HSET', RECORD .. id, 'state', 'running', 'token', token, 'attempt', attempt, 'started', now,
    'worker', worker_name)
  if not r[1] then  -- a stock client's job: its record begins here, and its payload may expire no more
    redis.call('HSET', RECORD .. id, 'score', score, 'due', score)
    redis.call('PERSIST', PAYLOAD .. id)
  end
  grants[#grants + 1] = grant(id, token)
end

local next_due = ''
local free = math.min(asked, cap - redis.call('ZCARD', RUNNING))

-- A job under which all but one of the workers it may cost have died runs alone on the next, so that the death of
-- that one is no neighbour's. True when this claim may grant nothing else.
local function keep_alone()
  local alone, reserved = unpack(redis.call('HMGET', WORKER, 'alone', 'reserved'))
  if alone and redis.call('HEXISTS', HELD, alone) == 1 then
    return true
  end
  local busy = redis.call('HLEN', HELD) > 0
  if not reserved then
    local oldest = redis.call('ZRANGE', SUSPECTS, 0, 0, 'WITHSCORES')
    if not oldest[1] or (busy and oldest[2] + PATIENCE_MS > now) then
      return false
    end
    reserved = oldest[1]
    redis.call('ZREM', SUSPECTS, reserved)
    redis.call('HSET', WORKER, 'reserved', reserved)
  end
  if busy then
    return true
  end
  redis.call('HDEL', WORKER, 'reserved')
  if redis.call('ZSCORE', QUEUE, reserved) then  -- else it was cancelled meanwhile
    redis.call('HSET', WORKER, 'alone', reserved)
    admit(reserved, HIDDEN, true)
  end
  return #grants > 0
end

if free > 0 and keep_alone() then
  free = 0
end
if #ARGV > 8 then
  for i = 9, #ARGV do
    local score = redis.call('ZSCORE', QUEUE, ARGV[i])
    if #grants < free and score and tonumber(score) <= exact then
      admit(ARGV[i], score)
    end
  end
else
  local looked = 0
  while #grants < free and looked < LOOK_AT_MOST + free do
    local due = redis.call('ZRANGEBYSCORE', QUEUE, '-inf', exact, 'WITHSCORES', 'LIMIT', 0, free - #grants)
    if #due == 0 then
      break
    end
    for i = 1, #due, 2 do
      admit(due[i], due[i + 1])
      looked = looked + 1
    end
  end
  if put_aside and #grants == 0 then
    keep_alone()
  end
  if #grants < free then  -- the queue, not the cap, is what leaves a slot empty
    local head = redis.call('ZRANGE', QUEUE, 0, 0, 'WITHSCORES')
    if head[2] and tonumber(head[2]) < HIDDEN then
      next_due = string.format('%.3f', math.max(0, head[2] - exact))
    end
  end
end
return {'ok', next_due, cap, cancels, grants}
