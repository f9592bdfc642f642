#!lua flags=allow-oom
-- redeliver: tell a job's webhook at once what it is to be told next, or once more how the job ended.
--
-- KEYS  1 receivers  2 prefixes: due, outbox  4 deliveries  5.. record, payload, in-progress, retry, result, said prefixes
-- ARGV  1 id  2 now ms ('' = TIME)
-- returns  'ok' | 'unknown' | 'none' (it has no webhook) | 'nothing' (its webhook was told all, and not of an end)
--
-- after: it is due now, under the id that it had, its attempts anew; unless it is being told at this moment.
local RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES, RECORD, _, _, _, RESULT = unpack(KEYS)
-- part: clock
-- part: receivers
-- part: outbox
local id, now = ARGV[1], clock(ARGV[2])
local r = redis.pcall('HMGET', RECORD .. id, 'state', 'webhook', 'told', 'ended')
if r.err or not r[1] then
  return 'unknown'
elseif not r[2] then
  return 'none'
end
if redis.call('EXISTS', OUTBOX_OF .. id) == 1 then
  local _, _, teller = delivery_of(id)
  if teller and teller ~= '-' then
    return 'ok'
  end
  redis.call('HDEL', DELIVERIES, id)
elseif r[3] then
  local expires = redis.call('PEXPIRETIME', RECORD .. id)
  local envelope = redis.call('MGET', RESULT .. id)[1]
  write_entry(id, r[3], r[1], tonumber(r[4]), expires > 0 and expires or nil, '@envelope', envelope or '')
else
  return 'nothing'
end
make_due(receiver_of(r[2]), id, now)
return 'ok'
