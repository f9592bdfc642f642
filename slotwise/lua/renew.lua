#!lua flags=allow-oom
-- renew: a worker's sign of life, with the tokens that it holds.
--
-- KEYS  1 queue  2 running  3 leases  4 worker  5 held  6.. record, payload, in-progress, retry, result prefixes
-- ARGV  1 incarnation  2 number of the last exchange whose reply the worker has dealt with  3.. tokens it holds
-- returns  {'gone'} when the lease is no more, else {'ok', {token, …} that are no longer its own}
--
-- after: the sequence is one higher. An attempt granted by an exchange that the worker has dealt with, and that
-- it does not list twice running, waits again: nobody runs it.
local QUEUE, RUNNING, LEASES, WORKER, HELD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local RECORD, IN_PROGRESS = KEYS[6], KEYS[8]
local lease = redis.call('HGET', LEASES, ARGV[1])
if not lease then
  return {'gone'}
end
local sequence, length = string.match(lease, '^(%d+) (%d+)$')
redis.call('HSET', LEASES, ARGV[1], string.format('%d %s', sequence + 1, length))

local listed = {}
for i = 3, #ARGV do
  listed[ARGV[i]] = true
end
local missed_before, missed, owned = {}, {}, {}
for token in string.gmatch(redis.call('HGET', WORKER, 'missed') or '', '%S+') do
  missed_before[token] = true
end
local held = redis.call('HGETALL', HELD)
for i = 1, #held, 2 do
  local id, token = held[i], held[i + 1]
  owned[token] = true
  if not listed[token] and tonumber(string.match(token, '^(%d+)-')) <= tonumber(ARGV[2]) then
    if missed_before[token] then
      local record = RECORD .. id
      redis.call('HDEL', HELD, id)
      redis.call('ZREM', RUNNING, id)
      redis.call('DEL', IN_PROGRESS .. id)
      redis.call('HINCRBY', record, 'attempt', -1)
      redis.call('HSET', record, 'state', 'pending', 'reason', 'queued')
      redis.call('ZADD', QUEUE, redis.call('HGET', record, 'score'), id)
    else
      missed[#missed + 1] = token
    end
  end
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
