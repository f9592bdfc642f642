#!lua flags=allow-oom
-- publish: put algorithms into the catalogue; a full server must not keep a worker from coming to drain it.
--
-- KEYS  1 cap  2 limits  3 audit  4 log  5 meter  6 running  7 catalogue  8.. queue, running, cap, moves
-- ARGV  1 who  2 now ms ('' = TIME)  3.. for each: name, entry, its own cap ('' = none), its rate ('' = none)
-- returns  'ok'
--
-- after: each entry replaces the one of that name, and so do the cap and the rate that it declares. Where a known
-- algorithm declares another cap than before, the audit says so. Limits that stay the same are not written: that would
-- wake every worker at each start of one.
local CAP, LIMITS, AUDIT, LOG, METER, RUNNING, CATALOGUE = unpack(KEYS)
local EACH = 4  -- arguments an algorithm
-- part: clock
-- part: cap
-- part: moves
-- part: log
-- part: meter
local now = clock(ARGV[2])
-- part: override
local function declare(field, value)
  local before = redis.call('HGET', LIMITS, field) or ''
  if value == '' and before ~= '' then
    redis.call('HDEL', LIMITS, field)
  elseif value ~= before then
    redis.call('HSET', LIMITS, field, value)
  end
  return before
end

clear_expired()
for at = 3, #ARGV, EACH do
  local name, cap = ARGV[at], ARGV[at + 2]
  local known = redis.call('HEXISTS', CATALOGUE, name) == 1
  redis.call('HSET', CATALOGUE, name, ARGV[at + 1])
  local before = declare('declared:' .. name, cap)
  if known and before ~= cap then
    write_audit(now, name, 'declared', tonumber(before), tonumber(cap), ARGV[1], 'published by a worker')
  end
  declare('rate:' .. name, ARGV[at + 3])
end
return 'ok'
