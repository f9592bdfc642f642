#!lua
-- submit: put jobs into the queue, all of them or none; a job whose id is there already is left as it is.
--
-- KEYS  1 queue  2 running  3 promote  4 unstarted  5 cap  6 pace  7 counts  8 meter  9 limits  10 parked  11 served
--       12 catalogue  13 prefixes of the sets of an algorithm: pending, parked  15.. record, payload, in-progress, retry,
--       result, said prefixes  21 tenants  22.. the index, moves
-- ARGV  1 now ms ('' = TIME)  2 most jobs that may wait  3 number of jobs, then for each job:
--       id, payload, due ms ('' = now), head start ms, fingerprint, ms within which it must start ('' = any),
--       number of record fields, field, value, …
-- returns  {'ok', now, {'new'|'replayed', …}, quota}; {'conflict', now} where an id belongs to another request, or a part of these
--          jobs was here before and is kept no longer; {'full', now, cap, ms that a job holds a slot ('' = not known yet)}, and
--          behind that, where it is the tenant's own bounds: {'many', the most of its jobs that may wait};
--          {'wide', the most that its rate lets it submit at once}; {'rate', ms until there is room, quota}
--          quota = {count, window ms, left, ms until it is whole} of the tenant's rate; {} = it has none
--
-- after: a new job is `pending`; it has a record, a payload and a place in the queue. A scheduled job gets its
-- head start when it falls due, never before: until then it stands in `promote` too. One of an algorithm with a limit
-- of its own, of which as many wait as that lets run, stands aside at once, as if a claim had met it: however many
-- come, no claim has to pass them. A tenant's jobs all stand aside: the claims take them from there in fair shares. Those
-- of one call are one tenant's, as the record's field `tenant` of the first says.
local QUEUE, RUNNING, PROMOTE, UNSTARTED, CAP, PACE, COUNTS, METER, LIMITS, PARKED, SERVED, CATALOGUE, PENDING_OF, PARKED_OF,
  RECORD, PAYLOAD, _, _, _, SAID, TENANTS = unpack(KEYS)
local HIDDEN = 9000000000000000  -- ms; as in claim.lua
local FIXED = 7  -- arguments of a job before its fields
-- part: clock
-- part: cap
-- part: counts
-- part: label
-- part: index
-- part: labels
-- part: pending
-- part: flow
-- part: setback
-- part: moves
local now, exact = clock(ARGV[1])
-- part: crowd
-- part: bounds
local jobs = tonumber(ARGV[3])
local waiting = redis.call('ZCARD', QUEUE) - redis.call('ZCARD', RUNNING)

local function tenant_of(at)
  for field = at + FIXED, at + FIXED + 2 * ARGV[at + 6] - 2, 2 do
    if ARGV[field] == 'tenant' then
      return ARGV[field + 1]
    end
  end
  return ''
end
local whose = tenant_of(4)
if whose ~= '' then
  read_bounds(whose)
end

-- Where each job begins, and whether one of them may be here already: most are not, and one call says so.
local starts, records, at = {}, {}, 4
for i = 1, jobs do
  starts[i], records[i] = at, RECORD .. ARGV[at]
  at = at + FIXED + 2 * ARGV[at + 6]
end
local any_known = redis.call('EXISTS', unpack(records)) > 0

local outcomes, fresh, came, replayed = {}, {}, {}, false
for i, at in ipairs(starts) do
  local fingerprint = ARGV[at + 4]
  local known = any_known and redis.call('HMGET', records[i], 'state', 'fingerprint') or {}
  if not known[1] then
    outcomes[i] = 'new'
    fresh[#fresh + 1] = i
  elseif fingerprint == '' then
    outcomes[i] = 'new'  -- ids without a fingerprint are random: this submit was sent again, its reply was lost
  elseif known[2] == fingerprint then
    outcomes[i], replayed = 'replayed', true
  else
    return {'conflict', now}
  end
end
if replayed and #fresh > 0 then
  return {'conflict', now}
end
local own = whose ~= '' and #fresh > 0 and refusal(#fresh)
if own or (#fresh > 0 and waiting + #fresh > tonumber(ARGV[2])) then
  return {'full', now, (cap_in_force(CAP, now)), redis.call('HGET', PACE, 'mean') or '', own or nil}
end

note_time(exact)
local payloads, queued, set_aside = {}, {}, {}
local due_now, created = string.format('%.17g', exact), string.format('%.0f', now)  -- a number in a call is written each time
local function put_in(nth, i)
  local at, record = starts[i], records[i]
  local id, due, head_start = ARGV[at], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local start_within, fields = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local later, algorithm, labels = due and due > now, '', nil
  -- microseconds keep first come, first served; those of one batch stand a microsecond apart
  local score = string.format('%.17g', later and due or exact - (#fresh - nth) / 1000 - head_start)
  payloads[2 * nth - 1], payloads[2 * nth] = PAYLOAD .. id, ARGV[at + 1]
  for field = at + FIXED, at + FIXED + 2 * fields - 2, 2 do
    if ARGV[field] == 'algorithm' then
      algorithm = ARGV[field + 1]
    elseif ARGV[field] == 'labels' then
      labels = ARGV[field + 1]
    end
  end
  count('created:' .. label(algorithm))
  came[label(algorithm)] = (came[label(algorithm)] or 0) + 1
  redis.call('HSET', record, 'state', 'pending', 'created', created, 'due', later and due or due_now, 'score', score,
    'reason', later and 'scheduled' or 'queued', 'fingerprint', ARGV[at + 4],
    unpack(ARGV, at + FIXED, at + FIXED - 1 + 2 * fields))
  local aside = not later and crowded(algorithm) and algorithm or ''
  if whose ~= '' and not later then
    aside = aside .. MARK .. whose
  end
  if aside ~= '' then
    queued[2 * nth - 1] = HIDDEN
    put(entering, PARKED_OF .. aside, score, id)
    set_aside[aside] = true
  else
    queued[2 * nth - 1] = score
  end
  queued[2 * nth] = id
  enter_pending(algorithm, id, created, whose)
  moves.note(id, 'pending', later and 'scheduled' or 'queued', 0, '', algorithm)
  if ARGV[at + 4] ~= '' then  -- its id is of an idempotency key: an earlier job may have had it
    drop_labels(id)
  end
  if labels or whose ~= '' then
    add_labels(id, labels, created, whose)
  end
  if later and head_start > 0 then
    redis.call('ZADD', PROMOTE, due, id)
    redis.call('HSET', record, 'head_start', head_start)
  end
  if start_within then
    redis.call('ZADD', UNSTARTED, now + start_within, id)
    redis.call('HSET', record, 'expires', now + start_within)
  end
end

-- Of a job that no claim finds nothing is left that a second try, or its group's, would take for it.
local function take_back()
  for _, i in ipairs(fresh) do
    local id = ARGV[starts[i]]
    redis.call('DEL', records[i], PAYLOAD .. id)
    for _, set in ipairs({QUEUE, PROMOTE, UNSTARTED}) do
      redis.pcall('ZREM', set, id)
    end
    for aside in pairs(set_aside) do
      redis.pcall('ZREM', PARKED_OF .. aside, id)
    end
    pcall(drop_labels, id)
  end
end

local function put_all_in()
  for nth, i in ipairs(fresh) do
    put_in(nth, i)
  end
  if #fresh > 0 then
    redis.call('MSET', unpack(payloads))
    redis.call('ZADD', QUEUE, unpack(queued))
  end
  for aside in pairs(set_aside) do
    redis.call('SADD', PARKED, aside)
  end
  write_index()  -- who stands aside is out of sight in the queue
end
local whole, fault = pcall(put_all_in)
if not whole then  -- a key of another type: what is none of ours, or damaged
  take_back()
  return type(fault) == 'table' and fault or redis.error_reply(fault)
end
spend(#fresh)
write_counts()
for algorithm, jobs in pairs(came) do
  keep_flow('came', algorithm, jobs, now)
end
write_pending()
moves.write(now)
return {'ok', now, outcomes, quota()}
