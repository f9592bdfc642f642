#!lua flags=no-writes
-- explain: what one instant tells of why a job waits; nothing is changed, and no queue is walked.
--
-- KEYS  1 queue  2 running  3 cap  4 limits  5 parked  6 served  7 suspects  8 pace  9 leases
--       10 prefixes of the sets of an algorithm: running, parked, starts  13 prefix of the workers' rows  14.. record,
--       payload, in-progress, retry, result, said prefixes  20 tenants
-- ARGV  1 id  2 now ms ('' = TIME)  3 most ids of holders  4 tenant who asks ('' = may see all)
-- returns  {'gone'} when the id is not in the queue, else names and values:
--          the fields of slotwise/explain.py's Facts
--
-- after: as before.
local QUEUE, RUNNING, CAP, LIMITS, PARKED, SERVED, SUSPECTS, PACE, LEASES, RUNNING_OF, PARKED_OF, STARTS_OF, ROW,
  RECORD, PAYLOAD, _, _, _, _, TENANTS = unpack(KEYS)
local HIDDEN = 9000000000000000
-- part: clock
-- part: cap
-- part: stock
-- part: muster
local id, now, exact = ARGV[1], clock(ARGV[2])
local score = tonumber(redis.call('ZSCORE', QUEUE, id) or nil)
if not score then
  return {'gone'}
end
local recorded = redis.pcall('HMGET', RECORD .. id, 'algorithm', 'score', 'tenant')
local algorithm = algorithm_of(recorded[1], redis.call('MGET', PAYLOAD .. id)[1])
local known = algorithm and true
algorithm = algorithm or ''
-- part: turns
local parked = redis.call('ZSCORE', PARKED_OF .. algorithm .. mark, id)
local waits_its_turn = mark ~= '' and redis.call('ZSCORE', PARKED_OF .. mark, id)
local hidden = score >= HIDDEN
score = tonumber(parked or waits_its_turn or recorded[2] or score)
local before = '(' .. string.format('%.17g', score)

local l = redis.call('HMGET', LIMITS, 'declared:' .. algorithm, 'override:' .. algorithm, 'until:' .. algorithm,
  'rate:' .. algorithm)
local own_cap = standing(l[1], l[2], l[3], now)
local count, window = string.match(l[4] or '', '^(%d+) (%d+)$')
local starts, opens = 0, ''
if count then
  starts = redis.call('ZCOUNT', STARTS_OF .. algorithm, exact - window, '+inf')
  local first = redis.call('ZRANGEBYSCORE', STARTS_OF .. algorithm, exact - window, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  opens = starts >= tonumber(count) and first[2] and string.format('%.0f', math.max(0, first[2] + window - exact)) or ''
end

-- those of other algorithms that stand aside start when their own limits open: they are not ahead in this line
local ahead = redis.call('ZCOUNT', QUEUE, '-inf', score < exact and before or exact)
local own_ahead = parked_ahead(PARKED_OF .. algorithm .. mark, before)
if mark ~= '' then
  ahead = ahead_by_turns(before)
end
local pace = redis.call('HMGET', PACE, 'n:' .. algorithm, 'mean:' .. algorithm, 'square:' .. algorithm, 'n', 'mean', 'square')
local most = tonumber(ARGV[3]) - 1
return {
  'now', tostring(exact), 'score', tostring(score), 'hidden', hidden and 1 or 0, 'parked', parked and 1 or 0,
  'alone', redis.call('ZSCORE', SUSPECTS, id) and 1 or 0, 'ahead', ahead, 'cap', (cap_in_force(CAP, now)),
  'running', redis.call('ZCARD', RUNNING), 'served', known and tonumber(redis.call('HGET', SERVED, algorithm) or 0) or 1,
  'own_cap', own_cap or '', 'own_running', redis.call('ZCARD', RUNNING_OF .. algorithm), 'own_ahead', own_ahead,
  'rate_count', count or '', 'rate_window', window or '', 'rate_starts', starts, 'rate_opens', opens,
  'slots', slots_of_workers(), 'own_n', pace[1] or 0, 'own_mean', pace[2] or 0, 'own_square', pace[3] or 0,
  'n', pace[4] or 0, 'mean', pace[5] or 0, 'square', pace[6] or 0,
  'tenant_cap', tenant_cap or '', 'tenant_running', mark ~= '' and redis.call('ZCARD', RUNNING_OF .. mark) or 0,
  'tenant_ahead', mark ~= '' and parked_ahead(PARKED_OF .. mark, before) or 0,
  'holders', those_seen(RUNNING, most), 'own_holders', those_seen(RUNNING_OF .. algorithm, most),
  'tenant_holders', mark ~= '' and redis.call('ZRANGE', RUNNING_OF .. mark, 0, most) or {}}
