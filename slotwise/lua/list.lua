#!lua flags=no-writes
-- list: one page of the jobs, the newest first, from the sets of the part index. Nothing is changed.
--
-- KEYS  1 queue  2 abort  3 prefix of the workers' rows  4 prefixes of the sets of an algorithm: pending, running
--       6.. record, payload, in-progress, retry, result, said prefixes  12.. the index, moves
-- ARGV  1 now ms ('' = TIME)  2 most jobs  3 most members to look at  4 most bytes of what the jobs carry
--       5 states, with spaces between  6 algorithm  7 label's name  8 its value  9 error type  10 ms after which, and
--       11 ms before which the job was made  12 ms for which it has run at least (6 to 12: '' = any; 8 counts with 7)
--       13 ms, 14 id: where the page before ended ('' = there is none)  15 'ids' | 'jobs' | 'whole' (with payload and
--       envelope)  16 tenant whose jobs they are ('' = any)  17.. the fields of a record to tell: created, incarnation, …
-- returns  {now, {ms, id} where the next page goes on ({} = this is the last), {job, …}}
--          job = id, or {id, {value, …} of the fields, or {} without a record, score in the queue, ms when the record
--          expires, ms of a request to cancel, payload, envelope, ms when its worker was last seen} ('' = none)
--
-- after: as before. The order is that of (ms, id), which no job ever changes: who reads page after page sees no job
-- twice, and misses none that fits all the while. A page costs the same wherever it stands.
local QUEUE, ABORT, ROW, PENDING_OF, RUNNING_OF, RECORD, PAYLOAD, _, _, RESULT = unpack(KEYS)
local MOST, LOOKS, BYTES = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local ALGORITHM, LABEL, VALUE, ERROR, AFTER, BEFORE = ARGV[6], ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11]
local RUN_MS, FROM_MS, FROM_ID, TELL = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14], ARGV[15]
local TENANT, FIELDS = ARGV[16], 17
-- part: clock
-- part: index
local now, exact = clock(ARGV[1])
local states = {}
for state in string.gmatch(ARGV[5], '%a+') do
  states[state] = true
end

-- As the server orders members of one score; Lua's own `<` follows the locale.
local function stands_before(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then
      return a < b
    end
  end
  return #one < #other
end

-- How many members of a set the page passes over, without a walk: those made later, and of the same ms those whose ids
-- are not below.
local function rank_in(key)
  if not FROM_MS then
    return BEFORE ~= '' and redis.call('ZCOUNT', key, BEFORE, '+inf') or 0
  end
  local score = redis.call('ZSCORE', key, FROM_ID)
  if score and tonumber(score) == FROM_MS then
    return redis.call('ZREVRANK', key, FROM_ID) + 1
  end
  local low = redis.call('ZCOUNT', key, '(' .. ARGV[13], '+inf')
  local high = low + redis.call('ZCOUNT', key, ARGV[13], ARGV[13])
  while low < high do
    local middle = math.floor((low + high) / 2)
    if stands_before(redis.call('ZREVRANGE', key, middle, middle)[1], FROM_ID) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end

local SETS = {pending = PENDING_OF, running = RUNNING_OF}

local function sets_by_algorithm()
  local sets, names = {}, {ALGORITHM}
  if ALGORITHM == '' then
    names = redis.call('SMEMBERS', NAMES)
    names[#names + 1] = ''
  end
  for state in pairs(states) do
    for _, name in ipairs(names) do
      local key = (SETS[state] or ENDED_OF .. state .. ':') .. name
      sets[#sets + 1] = {key = key, state = state, algorithm = HAS_ENDED[state] and name}
    end
  end
  return sets
end

-- The smallest of what holds all that fit.
local function sources()
  local best, size = sets_by_algorithm(), 0
  local others = {LABEL ~= '' and LABELLED_OF .. LABEL .. ':' .. VALUE or false, ERROR ~= '' and ERRORS_OF .. ERROR or false,
    TENANT ~= '' and LABELLED_OF .. ':' .. TENANT or false}
  if not (others[1] or others[2] or others[3]) then
    return best
  end
  for _, set in ipairs(best) do
    size = size + redis.call('ZCARD', set.key)
  end
  for _, key in ipairs(others) do
    local members = key and redis.call('ZCARD', key)
    if members and members <= size then
      best, size = {{key = key}}, members
    end
  end
  return best
end

local streams, chunk = {}, 0
local function fill(stream)
  stream.rows = redis.call('ZREVRANGE', stream.key, stream.rank, stream.rank + chunk - 1, 'WITHSCORES')
  stream.rank, stream.at = stream.rank + #stream.rows / 2, 1
  return #stream.rows > 0
end

local function open()
  local sets = sources()
  chunk = math.max(4, math.min(100, math.ceil(2 * MOST / #sets)))
  for _, stream in ipairs(sets) do
    stream.rank = rank_in(stream.key)
    if fill(stream) then
      streams[#streams + 1] = stream
    end
  end
end

-- The next in the order of (ms, id), from whichever set: its id, its score, the set.
local function take()
  local first
  for i, stream in ipairs(streams) do
    stream.id, stream.score = stream.rows[stream.at], tonumber(stream.rows[stream.at + 1])
    if not first or stream.score > streams[first].score
      or (stream.score == streams[first].score and stands_before(streams[first].id, stream.id)) then
      first = i
    end
  end
  local stream = streams[first]
  if not stream then
    return nil
  end
  local id, score = stream.id, stream.score
  stream.at = stream.at + 2
  if stream.at > #stream.rows and not fill(stream) then
    table.remove(streams, first)
  end
  return id, score, stream
end

local function has_label(labels)
  local read, found = pcall(cjson.decode, labels)
  return read and type(found) == 'table' and found[LABEL] == VALUE  -- else it is damaged
end

-- The state of a job if its record still says what its set does, and all that is asked for. A stock client's job that no claim has
-- met since it took the id of one that had ended is not listed yet; one that stands aside has no record yet.
local function fits(id, set)
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'algorithm', LABEL ~= '' and 'labels' or 'state',
    ERROR ~= '' and 'error' or 'state', 'started', 'tenant')
  local state = r[1]
  if TENANT ~= '' and r[6] ~= TENANT then
    return false
  end
  if not state then
    local waits = not r.err and set.state == 'pending' and LABEL == '' and redis.call('ZSCORE', QUEUE, id)
    return waits and states.pending and 'pending'
  end
  local right = states[state] and (set.state or state) == state and (set.algorithm or r[2] or '') == (r[2] or '')
    and (ALGORITHM == '' or (r[2] or '') == ALGORITHM)
    and (LABEL == '' or (r[3] and has_label(r[3])))
    and (ERROR == '' or error_type(r[4]) == ERROR)
    and (not RUN_MS or (tonumber(r[5] or nil) or now) <= now - RUN_MS)
    and not (HAS_ENDED[state] and redis.call('ZSCORE', QUEUE, id))
  return right and state
end

local seen_of = {}
local function heartbeat(incarnation)
  if incarnation and not seen_of[incarnation] then
    seen_of[incarnation] = redis.call('HGET', ROW .. incarnation, 'seen') or ''
  end
  return incarnation and seen_of[incarnation] or ''
end

local spent = 0
local function tell(id, state)
  local fields = redis.pcall('HMGET', RECORD .. id, unpack(ARGV, FIELDS))
  local bare = not fields[1]  -- not made by us: its payload tells when
  local payload = (bare or TELL == 'whole') and redis.call('MGET', PAYLOAD .. id)[1] or ''
  local envelope = TELL == 'whole' and redis.call('MGET', RESULT .. id)[1] or ''
  for _, value in ipairs(fields) do
    spent = spent + (value and #value or 0)
  end
  spent = spent + #payload + #envelope
  return {id, fields.err and {} or fields, redis.call('ZSCORE', QUEUE, id) or '',
    redis.call('PEXPIRETIME', RECORD .. id), redis.call('ZSCORE', ABORT, id) or '', payload, envelope,
    state == 'running' and heartbeat(fields[2]) or ''}
end

open()
local jobs, last, looked = {}, {}, 0
while #jobs < MOST and looked < LOOKS and spent < BYTES do
  local id, score, set = take()
  if not id or (AFTER and score <= AFTER) then
    return {now, {}, jobs}
  end
  looked, last = looked + 1, {string.format('%.17g', score), id}
  local state = fits(id, set)
  if state then
    jobs[#jobs + 1] = TELL == 'ids' and id or tell(id, state)
  end
end
return {now, #streams > 0 and last or {}, jobs}
