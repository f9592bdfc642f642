#!lua flags=allow-oom
-- sample: what the fleet has done by now, once for each step of time: the differences are its course.
--
-- KEYS  1 counts  2 meter  3 queue  4 running  5 cap  6 samples  7 parked  8 suspects
--       9 prefixes: parked set of an algorithm; record of a job
-- ARGV  1 now ms ('' = TIME)  2 ms from one sample to the next  3 how many are kept, about  4 'tell' = whether it is kept
--       or too early for that
-- returns  {field, value, …} as of now; {} where it is too early, and is not to be told
--
-- after: an entry, where the last one is old enough, with `at` (ms), `cap`, `running`, `waiting`, `oldest` (ms for which the one
--        that has waited longest was due, 0 = none), and sums since the counts began: `created`, `completed`,
-- `failed`, `cancelled`, `retried`, `idle` (us), `wait` (how many waited, by bucket: "17 4 …").
local COUNTS, METER, QUEUE, RUNNING, CAP, SAMPLES, PARKED, SUSPECTS, PARKED_OF, RECORD = unpack(KEYS)
local BUCKETS = 18  -- as counts.lua has them, with the last for what takes longer
-- part: clock
-- part: cap
-- part: oldest
local now, exact = clock(ARGV[1])

local last = redis.call('XREVRANGE', SAMPLES, '+', '-', 'COUNT', 1)[1]
local at = last and tonumber(last[2][2])  -- its first field
local due = not at or now - at >= tonumber(ARGV[2]) or now < at  -- a clock that was set back begins anew
if not due and ARGV[4] ~= 'tell' then
  return {}
end

local sums, waits = {created = 0, completed = 0, failed = 0, cancelled = 0, retried = 0}, {}
for i = 1, BUCKETS do
  waits[i] = 0
end
local counts = redis.call('HGETALL', COUNTS)
for i = 1, #counts, 2 do
  local name, rest = string.match(counts[i], '^([%a_]+):(.*)$')
  if name == 'completed' then
    name = string.match(rest, '^%a+')
  elseif name == 'wait' then
    local bucket = tonumber(string.match(rest, '^%d+'))
    waits[bucket] = waits[bucket] + counts[i + 1]
  end
  if sums[name] then
    sums[name] = sums[name] + counts[i + 1]
  end
end

local running, oldest = redis.call('ZCARD', RUNNING), oldest_due(exact)
local row = {'at', now, 'cap', (cap_in_force(CAP, now)), 'running', running,
  'waiting', math.max(0, redis.call('ZCARD', QUEUE) - running),
  'oldest', oldest and math.max(0, math.floor(now - oldest)) or 0, 'idle', redis.call('HGET', METER, 'idle') or 0, 'wait', table.concat(waits, ' ')}
for name, sum in pairs(sums) do
  row[#row + 1] = name
  row[#row + 1] = string.format('%.0f', sum)
end
if due then
  redis.call('XADD', SAMPLES, 'MAXLEN', '~', ARGV[3], '*', unpack(row))
end
return row
