#!lua flags=allow-oom
-- resize: set or clear the override of a cap, the fleet's or an algorithm's own.
--
-- KEYS  1 cap  2 limits  3 audit  4 log  5 meter  6 running  7 catalogue  8 served  9.. queue, running, cap, moves
-- ARGV  1 algorithm ('' = the fleet)  2 the cap ('' = clear the override)  3 reason  4 who
--       5 ms that it stands ('' = until somebody clears it)  6 now ms ('' = TIME)
-- returns  'ok' | 'unknown' (nobody has published or serves this algorithm)
--
-- after: the override stands, or none does. Workers that listen to `cap` and `limits` are woken by the change; no job
-- is ended by it. Clearing where nothing stands changes nothing, and is not in the audit.
local CAP, LIMITS, AUDIT, LOG, METER, RUNNING, CATALOGUE, SERVED = unpack(KEYS)
local algorithm, to, reason, by, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
-- part: clock
-- part: cap
-- part: moves
-- part: log
-- part: meter
local now = clock(ARGV[6])
-- part: override
clear_expired()
local before = read_override(algorithm)
if algorithm ~= '' and not before[1] and redis.call('HEXISTS', CATALOGUE, algorithm) == 0
  and redis.call('HEXISTS', SERVED, algorithm) == 0 then
  return 'unknown'
elseif to == '' and not before[1] then
  return 'ok'
end
local from, ends = in_force(algorithm), ttl and now + ttl or ''
write_override(algorithm, to ~= '' and {to, ends, reason, by, now})
write_audit(now, algorithm, to ~= '' and 'set' or 'cleared', from, in_force(algorithm), by, reason, ttl and ends)
if algorithm == '' then
  tell_cap(now)
end
return 'ok'
