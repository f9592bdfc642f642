#!lua flags=no-writes
-- snapshot: the whole picture of the cap, of one instant, so that its numbers agree with each other.
--
-- KEYS  1 queue  2 running  3 cap  4 limits  5 leases  6 catalogue  7 served  8 parked  9 suspects  10 meter
--       11 pace  12 prefixes: running set, parked set of an algorithm; row, held, serves of an incarnation; record of a job;
--          pending set of an algorithm
-- ARGV  1 now ms ('' = TIME)  2 most running jobs to name, those that run longest
-- returns  {{now, cap, running, waiting, scheduled, within reach, due ms of the oldest that waits ('' = none), hold ms},
--           {configured, override}, {{lease, jobs held, {field, value, …} of the row, {served, …}}, …},
--           {{name, running, parked, cap, declared, rate, override, hold ms, pending}, …}, {field, value, …} of the meter,
--           {{id, algorithm, worker, ms of admission, ms when its worker was last seen, tenant}, …}}
--          waiting = in the queue and not running; scheduled = of these, not due yet; within reach = of these, due
--          and not set aside; override = {value, until, reason, by, at}, or {} when none stands; '' = none
--          hold ms = for how long jobs hold a slot, of late ('' = not known yet)
--
-- after: as before.
local QUEUE, RUNNING, CAP, LIMITS, LEASES, CATALOGUE, SERVED, PARKED, SUSPECTS, METER, PACE, RUNNING_OF, PARKED_OF, ROW, HELD,
  SERVES, RECORD, PENDING_OF = unpack(KEYS)
local HIDDEN = 9000000000000000  -- ms; as in claim.lua
-- part: clock
-- part: cap
-- part: oldest
local now, exact = clock(ARGV[1])

local function override(key, own)
  local o = redis.call('HMGET', key, 'override' .. own, 'until' .. own, 'reason' .. own, 'by' .. own, 'at' .. own)
  if not o[1] or (o[2] and tonumber(o[2]) <= now) then
    return {}
  end
  for i = 1, 5 do
    o[i] = o[i] or ''
  end
  return o
end

local oldest = oldest_due(exact)
local aside = {}  -- jobs that stand aside, by algorithm; '' = they only wait for their tenants' turn (lua/parts/tenants.lua)
for _, set in ipairs(redis.call('SMEMBERS', PARKED)) do
  local algorithm = string.match(set, '^[^"]*')
  aside[algorithm] = (aside[algorithm] or 0) + redis.call('ZCARD', PARKED_OF .. set)
end

local workers, lease = {}, redis.call('HGETALL', LEASES)
for i = 1, #lease, 2 do
  local one = lease[i]
  workers[#workers + 1] = {lease[i + 1], redis.call('HLEN', HELD .. one), redis.call('HGETALL', ROW .. one),
    redis.call('SMEMBERS', SERVES .. one)}
end

local function hold(whose)
  return redis.call('HGET', PACE, 'mean' .. whose) or ''
end

local algorithms, known = {}, {}
local function see(name)
  if not known[name] then
    known[name] = true
    local l = redis.call('HMGET', LIMITS, 'declared:' .. name, 'rate:' .. name)
    local o = override(LIMITS, ':' .. name)
    algorithms[#algorithms + 1] = {name, redis.call('ZCARD', RUNNING_OF .. name), aside[name] or 0,
      o[1] or l[1] or '', l[1] or '', l[2] or '', o, hold(':' .. name), redis.call('ZCARD', PENDING_OF .. name)}
  end
end
for _, key in ipairs({CATALOGUE, SERVED}) do
  for _, name in ipairs(redis.call('HKEYS', key)) do
    see(name)
  end
end
for _, field in ipairs(redis.call('HKEYS', LIMITS)) do
  local name = string.match(field, '^%w+:(.*)$')
  if name then
    see(name)
  end
end

local jobs, seen = {}, {}
local most = tonumber(ARGV[2])
local longest = most > 0 and redis.call('ZRANGE', RUNNING, 0, most - 1, 'WITHSCORES') or {}
for i = 1, #longest, 2 do
  local r = redis.pcall('HMGET', RECORD .. longest[i], 'algorithm', 'worker', 'incarnation', 'tenant')
  local by = r[3] or ''
  seen[by] = seen[by] or redis.call('HGET', ROW .. by, 'seen') or ''
  jobs[#jobs + 1] = {longest[i], r[1] or '', r[2] or '', longest[i + 1], seen[by], r[4] or ''}
end

local running = redis.call('ZCARD', RUNNING)
return {
  {now, (cap_in_force(CAP, now)), running, math.max(0, redis.call('ZCARD', QUEUE) - running),
    redis.call('ZCOUNT', QUEUE, '(' .. string.format('%.17g', exact), '(' .. HIDDEN),
    redis.call('ZCOUNT', QUEUE, '-inf', exact) + (aside[''] or 0), oldest and math.floor(oldest) or '', hold('')},
  {tonumber(redis.call('HGET', CAP, 'configured') or CAP_OF_NOBODY), override(CAP, '')}, workers, algorithms, redis.call('HGETALL', METER),
  jobs}
