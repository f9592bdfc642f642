#!lua flags=allow-oom
-- collect: give a worker what webhooks are to be told now, of each job the oldest, and of no receiver too much.
--
-- KEYS  1 receivers  2 prefixes: due, outbox  4 deliveries
-- ARGV  1 now ms ('' = TIME)  2 random token  3 ms until others may try  4 most deliveries  5 most bytes
--       6 most of a receiver, but for these:  7.. receiver, most of it
-- returns  {ms to what is due next ('' = nothing is), {id, receiver, attempts before, entry as in parts/outbox.lua}, …}
--
-- after: what was given is under way, and due again when its time is up: its worker may have died. Receivers take turns.
local RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES = unpack(KEYS)
-- part: clock
-- part: receivers
local now = clock(ARGV[1])
local token, until_others, most, most_bytes = ARGV[2], now + tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local quota, known = {}, 0
for at = 7, #ARGV, 2 do
  quota[ARGV[at]], known = tonumber(ARGV[at + 1]), known + 1
end
local reply, bytes = {''}, 0

local function give(receiver, id)
  local head, _, whole = entry_at(id, 0)
  if not head then  -- whoever took it away, nothing is left to tell
    redis.call('ZREM', DUE_OF .. receiver, id)
    redis.call('HDEL', DELIVERIES, id)
    return
  end
  local entry, attempts = delivery_of(id)
  attempts = entry == head and attempts or '0'
  redis.call('HSET', DELIVERIES, id, head .. ' ' .. attempts .. ' ' .. token)
  redis.call('ZADD', DUE_OF .. receiver, until_others, id)
  reply[#reply + 1] = {id, receiver, attempts, whole}
  bytes = bytes + #whole
end

local function give_of(receiver)
  local left = math.min(quota[receiver] or tonumber(ARGV[6]), most - #reply + 1)
  local ids = left > 0 and redis.call('ZRANGEBYSCORE', DUE_OF .. receiver, '-inf', now, 'LIMIT', 0, left) or {}
  local looked = 0
  for _, id in ipairs(ids) do
    if bytes < most_bytes then
      give(receiver, id)
      looked = looked + 1
    end
  end
  local head = redis.call('ZRANGE', DUE_OF .. receiver, 0, 0, 'WITHSCORES')
  if not head[1] then
    redis.call('ZREM', RECEIVERS, receiver)
  elseif tonumber(head[2]) > now then
    redis.call('ZADD', RECEIVERS, head[2], receiver)
  elseif looked > 0 then  -- it has had its turn; who got nothing leaves all as it is, and wakes nobody
    redis.call('ZADD', RECEIVERS, now, receiver)
  end
end

for _, receiver in ipairs(redis.call('ZRANGEBYSCORE', RECEIVERS, '-inf', now, 'LIMIT', 0, most + known)) do
  give_of(receiver)
end
local later = redis.call('ZRANGEBYSCORE', RECEIVERS, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
reply[1] = later[2] and string.format('%.0f', later[2] - now) or ''
return reply
