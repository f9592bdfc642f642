#!lua flags=allow-oom
-- finish: end attempts and give their slots back; each only if its token still owns the job.
--
-- KEYS  1 queue  2 running  3 held  4 abort  5 cap  6 log  7 meter  8 pace  9 counts
--       10 served  11 catalogue  12 prefixes of the sets of an algorithm: running, pending  14.. record, payload,
--       in-progress, retry, result, said prefixes  20.. the outbox  24.. the index, moves
-- ARGV  1 now ms ('' = TIME)  2 channel of ended jobs, then for each attempt:
--       id, token, outcome, algorithm ('' = as recorded), error JSON, envelope ('' = none kept),
--       ms to keep ('' = for ever), ms until the retry, ms to keep the in-progress mark (cron; '0' = not),
--       the attempt's number, '1' where its body came to an end of its own, as the next of its kind will,
--       its account as JSON ('' = none), CPU ms and MB that its body used (each '' = not measured),
--       the origin of its failure (slotwise/origin.py)
--       outcome = 'completed' | 'failed' | 'cancelled' | 'retry' | 'release' | 'died'
-- returns  {'ok' | 'again' | 'stale', …}: `again` = this very finish was done before (its reply was lost);
--          `stale` = the job is no longer this attempt's, and nothing was changed
--
-- after: terminal: the job is out of the queue, its payload gone, result and record under a TTL.
-- retry: `pending` at now + delay, the attempt counted. release: `pending` in its old place, not counted.
-- died: as release, and a death is counted against the job, as when its whole worker dies.
local QUEUE, RUNNING, HELD, ABORT, CAP, LOG, METER, PACE, COUNTS, SERVED, CATALOGUE, RUNNING_OF, PENDING_OF, RECORD, PAYLOAD,
  IN_PROGRESS, RETRY, RESULT, SAID, RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES = unpack(KEYS)
local RETRY_TTL = 88400  -- s, as arq keeps it
local LEAST_RECORD_TTL = 60000  -- ms that a record outlives a result that is not kept
local EACH = 15  -- arguments an attempt
-- part: clock
-- part: cap
-- part: log
-- part: meter
-- part: pace
-- part: flow
-- part: counts
-- part: label
-- part: index
-- part: failures
-- part: pending
-- part: history
-- part: receivers
-- part: outbox
-- part: moves
local now, exact = clock(ARGV[1])

-- A call costs more than what it does: what can be done for all attempts at once is gathered here.
local released, unmarked, ended, back, said, kept_ms, closed = {}, {}, {}, {}, {}, {}, {}

local function note(id, ...)
  if type(redis.pcall('HSET', RECORD .. id, ...)) == 'table' then  -- an error: no hash, so no record of ours
    redis.call('DEL', RECORD .. id)
    redis.call('HSET', RECORD .. id, ...)
  end
end

local function wait_again(id, token, outcome, algorithm, delay, attempt, account)
  local record = RECORD .. id
  note(id, 'done', token, 'state', 'pending', 'ready', exact, 'reason', outcome == 'retry' and 'retrying' or 'queued',
    unpack(algorithm ~= '' and {'algorithm', algorithm} or {}))
  remember_attempt(id, outcome, now, account)
  if outcome == 'retry' then
    -- a cancel came while it ended: it is due at once, and the next claim ends it
    local due = redis.call('HEXISTS', record, 'cancel_requested') == 1 and now or now + delay
    redis.call('HSET', record, 'due', due, 'score', due, 'attempt', attempt)
    redis.call('SET', RETRY .. id, attempt, 'EX', RETRY_TTL)
    back[#back + 1], back[#back + 2] = due, id
  else
    redis.pcall('HINCRBY', record, 'attempt', -1)
    if outcome == 'died' then
      redis.pcall('HINCRBY', record, 'deaths', 1)
    end
    -- not after now: the clock may have been set back since
    back[#back + 1], back[#back + 2] = math.min(tonumber(redis.call('HGET', record, 'score')) or now, exact), id
  end
end

-- What a job said is kept as long as its record. Most jobs say nothing.
local function keep_words()
  if redis.call('EXISTS', unpack(said)) == 0 then
    return
  end
  for i, id in ipairs(ended) do
    if kept_ms[id] ~= '' then
      redis.call('PEXPIRE', said[i], math.max(LEAST_RECORD_TTL, tonumber(kept_ms[id])))
    end
  end
end

local function close(id, token, outcome, algorithm, failure, envelope, keep, account)
  local fields = {'done', token, 'state', outcome, 'ended', now}
  if algorithm ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'algorithm', algorithm
  end
  if failure ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'error', failure
  end
  if account ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'account', account
  end
  note(id, unpack(fields))
  if keep == '' then
    redis.call('PERSIST', RECORD .. id)
  else
    redis.call('PEXPIRE', RECORD .. id, math.max(LEAST_RECORD_TTL, tonumber(keep)))
  end
  if envelope ~= '' then
    redis.call('SET', RESULT .. id, envelope, unpack(keep == '' and {} or {'PX', keep}))
  end
  ended[#ended + 1], kept_ms[id] = id, keep
  said[#said + 1] = SAID .. id
  unmarked[#unmarked + 1] = PAYLOAD .. id
  unmarked[#unmarked + 1] = RETRY .. id
end

-- Take an algorithm's attempts off those that run, and put the jobs that have ended where those are listed.
local function close_of(algorithm, of_it)
  local made = redis.call('ZMSCORE', RUNNING_OF .. algorithm, unpack(of_it))
  for i, id in ipairs(of_it) do
    local c = closed[id]
    if c then
      index_ended(id, c[1], c[2], c[3], made[i] or redis.call('ZSCORE', RUNNING_OF, id) or now, c[4])
      if not made[i] or c[2] ~= algorithm then
        note_name(c[2])
      end
    end
  end
  if redis.call('ZREM', RUNNING_OF .. algorithm, unpack(of_it)) < #of_it then
    redis.call('ZREM', RUNNING_OF, unpack(of_it))  -- cancels that came first: they took no room of their algorithm
  end
end

local ids = {}
for at = 3, #ARGV, EACH do
  ids[#ids + 1] = ARGV[at]
end
local owner, algorithms, of_algorithm, of_tenant, times, all_times, used = {}, {}, {}, {}, {}, {}, {}
for i, held in ipairs(redis.call('HMGET', HELD, unpack(ids))) do
  if held then
    owner[ids[i]], algorithms[ids[i]] = string.match(held, '^(%S+) ?(.*)$')
  end
end
local admitted = redis.call('ZMSCORE', RUNNING, unpack(ids))
local replies = {}
for i, id in ipairs(ids) do
  local at = 3 + (i - 1) * EACH
  local token, outcome = ARGV[at + 1], ARGV[at + 2]
  if owner[id] == token then
    owner[id] = nil
    released[#released + 1] = id
    local algorithm, name = algorithms[id], label(algorithms[id])
    of_algorithm[algorithm] = of_algorithm[algorithm] or {}
    table.insert(of_algorithm[algorithm], id)
    local whose = tenant_in(token)
    if whose then
      of_tenant[whose] = of_tenant[whose] or {}
      table.insert(of_tenant[whose], id)
    end
    if ARGV[at + 10] == '1' and admitted[i] and tonumber(admitted[i]) <= exact then
      local held_ms = math.max(0, exact - admitted[i])
      all_times[#all_times + 1] = held_ms
      if outcome ~= 'retry' then
        observe('ran', held_ms, name)
      end
      times[name] = times[name] or {}
      table.insert(times[name], held_ms)
      if ARGV[at + 12] ~= '' then
        used[name] = used[name] or {}
        table.insert(used[name], {tonumber(ARGV[at + 12]), tonumber(ARGV[at + 13])})
      end
    end
    local mark = tonumber(ARGV[at + 8])
    if mark > 0 then
      redis.call('SET', IN_PROGRESS .. id, 'done', 'PX', mark)
    else
      unmarked[#unmarked + 1] = IN_PROGRESS .. id
    end
    if outcome == 'retry' then
      count('retried:' .. name)
    end
    local told = ARGV[at + 3] ~= '' and ARGV[at + 3] or algorithm
    if outcome == 'retry' or outcome == 'release' or outcome == 'died' then
      wait_again(id, token, outcome, ARGV[at + 3], tonumber(ARGV[at + 7]), ARGV[at + 9], ARGV[at + 11])
      return_to_pending(told, id, now, whose)
      local attempt = outcome == 'retry' and ARGV[at + 9] or ARGV[at + 9] - 1
      moves.note(id, 'pending', outcome == 'retry' and 'retrying' or 'queued', attempt, '', told)
    else
      count('completed:' .. outcome .. ':' .. name)
      close(id, token, outcome, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 11])
      closed[id] = {outcome, told, ARGV[at + 4],
        ARGV[at + 6] ~= '' and now + math.max(LEAST_RECORD_TTL, tonumber(ARGV[at + 6])) or nil}
      moves.note(id, outcome, '', ARGV[at + 9], outcome == 'failed' and error_type(ARGV[at + 4]) or '', told)
      if string.find(token, '^[^@]*w') then  -- as `claim` marks one whose job has a webhook
        tell(id, outcome, now, closed[id][4], redis.call('MGET', PAYLOAD .. id)[1], ARGV[at + 5])
      end
      if outcome == 'failed' then
        count_failure(id, told, ARGV[at + 4], ARGV[at + 14], now, whose)
      end
    end
    replies[i] = 'ok'
  else
    replies[i] = redis.pcall('HGET', RECORD .. id, 'done') == token and 'again' or 'stale'
    if replies[i] == 'stale' then
      count('stale')
    end
  end
end

if #released > 0 then
  redis.call('ZREM', RUNNING, unpack(released))
  redis.call('HDEL', HELD, unpack(released))
  for algorithm, of_it in pairs(of_algorithm) do
    close_of(algorithm, of_it)
  end
  for whose, of_it in pairs(of_tenant) do
    redis.call('ZREM', RUNNING_OF .. MARK .. whose, unpack(of_it))
  end
  local cap = cap_in_force(CAP, now)
  write_log(now, 'finish', released, cap)
  measure(exact, cap)
  if #all_times > 0 then
    keep_pace('', all_times)
    for name, of_it in pairs(times) do
      keep_pace(':' .. name, of_it)
      keep_flow('went', name, #of_it, now)
    end
    for name, of_it in pairs(used) do
      keep_usage(name, of_it)
    end
  end
end
if #unmarked > 0 then
  redis.call('DEL', unpack(unmarked))
end
if #back > 0 then
  redis.call('ZADD', QUEUE, unpack(back))
end
if #ended > 0 then
  redis.call('ZREM', QUEUE, unpack(ended))
  keep_words()
  if redis.call('EXISTS', ABORT) == 1 then
    redis.call('ZREM', ABORT, unpack(ended))
  end
  for _, id in ipairs(ended) do
    redis.call('PUBLISH', ARGV[2], id)
  end
end
write_counts()
write_pending()
write_index()
moves.write(now)
return replies
