#!lua flags=allow-oom
-- renew: a worker's sign of life, with the tokens that it holds.
--
-- KEYS  1 queue  2 running  3 leases  4 worker  5 held  6 cap  7 log  8 meter  9 counts
--       10 prefix of the running sets of an algorithm  11.. record, payload, in-progress, retry, result, said prefixes, then the
--       prefix of the pending sets of an algorithm  18.. the index, moves
-- ARGV  1 incarnation  2 number of the last exchange whose reply the worker has dealt with
--       3 MB that running jobs hold, by id, as JSON  4.. tokens it holds
-- returns  {'gone'} when the lease is no more, else {'ok', {token, …} that are no longer its own}
--
-- after: the sequence is one higher. An attempt granted by an exchange that the worker has dealt with, and that
-- it does not list twice running, waits again: nobody runs it.
local QUEUE, RUNNING, LEASES, WORKER, HELD, CAP, LOG, METER, COUNTS, RUNNING_OF, RECORD, _, IN_PROGRESS = unpack(KEYS)
local PENDING_OF = KEYS[17]
-- part: clock
-- part: cap
-- part: log
-- part: meter
-- part: history
-- part: index
-- part: pending
-- part: moves
-- part: waiting
local lease = redis.call('HGET', LEASES, ARGV[1])
if not lease then
  return {'gone'}
end
local sequence, length = string.match(lease, '^(%d+) (%d+)$')
redis.call('HSET', LEASES, ARGV[1], string.format('%d %s', sequence + 1, length))
local now, exact = clock()
redis.call('HSET', WORKER, 'seen', now, 'weights', ARGV[3])  -- for people: no clock decides who lives

local listed = {}
for i = 4, #ARGV do
  listed[ARGV[i]] = true
end
local missed_before, missed, owned, released = {}, {}, {}, {}
for token in string.gmatch(redis.call('HGET', WORKER, 'missed') or '', '%S+') do
  missed_before[token] = true
end
local held = redis.call('HGETALL', HELD)
for i = 1, #held, 2 do
  local id, token = held[i], string.match(held[i + 1], '^%S+')
  owned[token] = true
  if not listed[token] and tonumber(string.match(token, '^(%d+)-')) <= tonumber(ARGV[2]) then
    if missed_before[token] then
      redis.call('HDEL', HELD, id)
      give_up_slot(id, held[i + 1])
      wait_again(id, held[i + 1], 'release', now, exact)
      released[#released + 1] = id
    else
      missed[#missed + 1] = token
    end
  end
end
if #released > 0 then
  local cap = cap_in_force(CAP, now)
  write_log(now, 'release', released, cap)
  measure(exact, cap)
  write_pending()
  moves.write(now)
end
if #missed > 0 then
  redis.call('HSET', WORKER, 'missed', table.concat(missed, ' '))
elseif next(missed_before) then
  redis.call('HDEL', WORKER, 'missed')
end
local lost = {}
for token in pairs(listed) do
  if not owned[token] then
    lost[#lost + 1] = token
  end
end
return {'ok', lost}
