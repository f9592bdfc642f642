#!lua flags=allow-oom
-- claim: give due jobs to a worker, never so many that more run than the fleet's cap.
--
-- A slot is membership in `running`; its size is compared with the cap and added to in this one step.
--
-- KEYS  1 queue  2 running  3 promote  4 cap  5 leases  6 worker  7 held  8 abort  9 suspects  10 unstarted
--       11 limits  12 parked  13 serves  14 served  15 catalogue  16 hungry  17 loads  18 log  19 meter  20 counts
--       21 prefixes of the sets of an algorithm: running, parked, starts, pending, hungry  26.. record, payload,
--       in-progress, retry, result, said prefixes  32 tenants  33.. the outbox  37.. the index, moves
-- ARGV  1 incarnation  2 number of this exchange  3 slots asked for  4 random prefix of the tokens
--       5 whose requests to cancel count: 'requested' (made over HTTP) or 'any' (all of arq:abort)
--       6 '1': tell which of the jobs that the worker holds are to be cancelled  7 worker's name
--       8 now ms ('' = TIME)  9.. instead of the queue's head, these ids (a caller that picks its jobs itself)
-- returns  {'gone'} when the incarnation has no lease, else
--          {'ok', ms to the next due job (a decimal; '' = none), cap, {id, …} to cancel, {grant, …}}
--          grant = {id, token, attempt, score, notice, payload or '', timeout, max_attempts, keep_result,
--          memory_mb, cpu_seconds, open_files, file_mb}
--          notice = '' | 'expired' (no payload) | 'abort' (its cancel was asked for) | 'lost'
--
-- after: a granted job is `running`, out of sight in the queue (score HIDDEN, as a visibility timeout does),
-- held by this incarnation under a token that fences every later move, and says whose slot it is: '@' and the tenant are
-- its end. The same exchange sent again (its reply
-- was lost) grants nothing new and returns what it granted, as far as it is still held. One that arrives after a
-- later one grants nothing: nobody hears its reply.
local QUEUE, RUNNING, PROMOTE, CAP, LEASES, WORKER, HELD, ABORT, SUSPECTS, UNSTARTED, LIMITS, PARKED, SERVES, SERVED,
  CATALOGUE, HUNGRY, LOADS, LOG, METER, COUNTS, RUNNING_OF, PARKED_OF, STARTS_OF, PENDING_OF, HUNGRY_OF,
  RECORD, PAYLOAD, IN_PROGRESS, RETRY, _, SAID, TENANTS, RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES = unpack(KEYS)
local HIDDEN = 9000000000000000  -- ms; past every due time, below 2^53
local LOOK_AT_MOST = 200  -- entries passed over in one call
local LEFT_MS = 20  -- until a claim that left slots to a hungry worker looks whether it came
local AT_A_TIME = 500  -- entries read in one step: Lua unpacks a few thousand values at most

-- part: clock
-- part: cap
-- part: log
-- part: meter
-- part: setback
-- part: counts
-- part: label
-- part: index
-- part: labels
-- part: pending
-- part: suspect
-- part: receivers
-- part: outbox
-- part: moves
local incarnation, number, asked, prefix, worker_name = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[7]
if redis.call('HEXISTS', LEASES, incarnation) == 0 then
  return {'gone'}
end
local now, exact = clock(ARGV[8])
mind_setback(exact)

-- part: aborts
-- part: granting
local grants, cancels, picked = {}, ARGV[6] == '1' and held_to_cancel(now) or {}, #ARGV > 8

local cap, reverts_in = cap_in_force(CAP, now)
local latest = tonumber(redis.call('HGET', WORKER, 'exchange') or 0)
if tonumber(number) < latest then  -- a copy that was held up on the way: the worker has gone on since
  return {'ok', '', cap, {}, {}}
elseif tonumber(number) == latest then
  local held = redis.call('HGETALL', HELD)
  for i = 1, #held, 2 do
    if string.sub(held[i + 1], 1, #prefix) == prefix then
      local id = held[i]
      local payload = redis.call('MGET', PAYLOAD .. id)[1]
      grants[#grants + 1] = grant(id, string.match(held[i + 1], '^%S+'), record_of(id, 'running'), payload, to_cancel(id))
    end
  end
  return {'ok', '0', cap, cancels, grants}
end
redis.call('HSET', WORKER, 'exchange', number)

-- part: promote

-- A call costs more than what it fetches: candidates are looked at, and admitted, many at a time.
local put_aside = false
local queue_scores, slots, tokens, marks = {}, {}, {}, {}

local function place(id, score)
  queue_scores[#queue_scores + 1], queue_scores[#queue_scores + 2] = score, id
end

local opens_at = nil  -- when the first of the limits that were met opens by time alone
local function opens(at)
  opens_at = math.min(at, opens_at or at)
end

-- part: stock
-- part: share_of
-- part: room
-- part: parking
-- part: tenants
local function start(id, token, algorithm, runs, created)
  tokens[#tokens + 1], tokens[#tokens + 2] = id, algorithm and token .. ' ' .. algorithm or token
  slots[#slots + 1], slots[#slots + 2] = exact, id
  marks[#marks + 1], marks[#marks + 2] = IN_PROGRESS .. id, '1'
  if algorithm and runs then
    take_room(algorithm, token)
  end
  enter_running(algorithm and runs and algorithm or '', id, created)
  local whose = tenant_in(token)
  if whose then
    enter_running(MARK .. whose, id, created)
    take_share(whose)
  end
end

-- part: idle
local function admit(id, score, payload, asked_at, alone)
  local r = record_of(id, 'pending')
  local cancelled = asked_at and meant_for(id, r, asked_at, payload)
  local algorithm = algorithm_of(r.algorithm, payload)
  local mark = r.tenant and MARK .. r.tenant or ''
  if algorithm then
    leave_parking(id, algorithm .. mark)
  end
  if r.tenant then
    leave_parking(id, mark)
  end
  if not alone and r.deaths == DEATHS - 1 and not cancelled then
    place(id, HIDDEN)
    redis.call('ZADD', SUSPECTS, 'NX', now, id)
    put_aside = true
    return
  end
  if r.expires and r.expires <= now and not r.started then  -- `expire` ends it
    place(id, HIDDEN)
    return
  end
  if algorithm and not cancelled and room(algorithm) <= 0 then
    park(id, algorithm .. mark, r.score or score, not r.state and created_of(nil, payload, score))
    return
  end
  if r.tenant and not cancelled and (room_of_tenant(r.tenant) <= 0 or (keyed and not (left_parking[id] or picked or alone))) then
    park(id, mark, r.score or score)
    return
  end
  if r.expires then
    redis.call('ZREM', UNSTARTED, id)
  end
  local stock = not r.state
  if stock then  -- a stock client's job: its record begins here, and its payload may expire no more
    r.score = score
    r.attempt = number_of(redis.call('MGET', RETRY .. id)[1])
    redis.call('PERSIST', PAYLOAD .. id)
    note_name(algorithm or '')
  end
  if not tonumber(r.score) then
    r.score = score
    redis.call('HSET', RECORD .. id, 'score', score)
  end
  r.attempt = r.attempt + 1
  local created = created_of(r.created, payload, score)
  local token = prefix .. #grants .. (r.tells and 'w' or '')  -- 'w': its moves are told to a webhook
    .. ((keyed or r.tenant) and '@' .. (r.tenant or '') or '')
  redis.call('HSET', RECORD .. id, 'state', 'running', 'attempt', r.attempt, 'started', now, 'worker', worker_name,
    'incarnation', incarnation, unpack(stock and {'score', score, 'due', score, 'created', created,
    algorithm and 'algorithm', algorithm} or {}))
  place(id, HIDDEN)
  start(id, token, algorithm, not cancelled, created)
  leave_pending(r.algorithm or left_parking[id] or algorithm or '', id, r.tenant)
  moves.note(id, 'running', '', r.attempt, '', algorithm or '')
  count_wait(id, stock and tonumber(score) or r.ready)
  if stock then
    count('created:' .. label(algorithm))
  end
  grants[#grants + 1] = grant(id, token, r, payload, cancelled)
  if r.tells and grants[#grants][5] == '' then
    tell(id, 'running', now, nil, payload)
  end
end

local function write_down()
  if #queue_scores > 0 then
    redis.call('ZADD', QUEUE, unpack(queue_scores))
  end
  if #slots > 0 then
    redis.call('ZADD', RUNNING, unpack(slots))
    redis.call('HSET', HELD, unpack(tokens))
    redis.call('MSET', unpack(marks))
    write_rooms()
  end
  write_pending()
  queue_scores, slots, tokens, marks = {}, {}, {}, {}
end

-- Admit what may be admitted of `due` = {id, score, …}, at most `most` jobs in all.
local function admit_from(due, most, alone)
  local ids, of_mark, of_payload = {}, {}, {}
  for i = 1, #due, 2 do
    local n = #ids + 1
    ids[n], of_mark[n], of_payload[n] = due[i], IN_PROGRESS .. due[i], PAYLOAD .. due[i]
  end
  if #ids == 0 then
    return
  end
  local in_progress, payloads = redis.call('MGET', unpack(of_mark)), redis.call('MGET', unpack(of_payload))
  local running = redis.call('ZMSCORE', RUNNING, unpack(ids))
  local asked_at = redis.call('EXISTS', ABORT) == 1 and redis.call('ZMSCORE', ABORT, unpack(ids)) or {}
  for n, id in ipairs(ids) do
    if running[n] then  -- a stock client's abort made a running job visible
      place(id, HIDDEN)
    elseif in_progress[n] == 'done' then  -- a cron job that ran already, enqueued late by another worker
      redis.call('ZREM', QUEUE, id)
      redis.call('DEL', PAYLOAD .. id)
      leave_pending(left_parking[id] or algorithm_of(nil, payloads[n]) or '', id)
    elseif in_progress[n] then  -- a stock worker on the same queue has it
      if left_parking[id] and redis.call('EXISTS', RECORD .. id) == 0 then
        leave_pending(left_parking[id], id)
      end
      place(id, now + math.max(1000, redis.call('PTTL', IN_PROGRESS .. id)))
    elseif #grants < most then
      admit(id, due[2 * n], payloads[n], asked_at[n], alone)
    end
  end
  write_down()
end

-- part: alone
-- part: share
local spare = cap - redis.call('ZCARD', RUNNING)
local drained = redis.call('HEXISTS', WORKER, 'drained') == 1
local free, left_to_others = drained and 0 or math.min(asked, spare), false
if free > 0 and keep_alone() then
  free = 0
elseif free > 0 then
  local share = fair(free)
  free, left_to_others = share, share < free
end

local function start_the_best()
  local looked = 0
  if keyed and free > 0 then
    bring_in()
  end
  while #grants < free and looked < LOOK_AT_MOST + free do
    local best = candidates(math.min(free - #grants, AT_A_TIME))
    if #best == 0 then
      return
    end
    admit_from(best, free)
    looked = looked + #best / 2
  end
  if keyed and #grants < free then
    opens(exact)  -- those that were looked at stand aside now: there may be others behind them
  end
end

local function start_these(first)
  local due, seen = {}, {}
  for i = first, #ARGV do
    local score = redis.call('ZSCORE', QUEUE, ARGV[i])
    if score and tonumber(score) <= exact and not seen[ARGV[i]] and #due < 2 * AT_A_TIME then
      seen[ARGV[i]] = true
      due[#due + 1], due[#due + 2] = ARGV[i], score
    end
  end
  admit_from(due, free)
end

if picked then
  start_these(9)
else
  start_the_best()
  if put_aside and #grants == 0 then
    keep_alone()
  end
end
if #grants > 0 then
  local ids = {}
  for i, granted in ipairs(grants) do
    ids[i] = granted[1]
  end
  write_log(now, 'claim', ids, cap)
  write_shares()
  measure(exact, cap)
  write_counts()
end

write_pending()
write_index()
moves.write(now)
local head = redis.call('ZRANGEBYSCORE', QUEUE, '-inf', '(' .. HIDDEN, 'WITHSCORES', 'LIMIT', 0, 1)
local head_in = head[2] and math.max(0, head[2] - exact)
if #grants > 0 then
  write_idle(head_in == 0)
end
local wants_more = not drained and asked > #grants
weigh(wants_more and (left_to_others or #grants >= spare) and (head_in == 0 or can_unpark()))
weigh_each(wants_more)
tell_full_rates()
local next_in = math.min(reverts_in or math.huge, opens_at and math.max(0, opens_at - exact) or math.huge,
  #grants < free and head_in or math.huge, left_to_others and LEFT_MS or math.huge)
return {'ok', next_in < math.huge and string.format('%.3f', next_in) or '', cap, cancels, grants}
