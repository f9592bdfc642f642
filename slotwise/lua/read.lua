#!lua flags=no-writes
-- read: all that is known of some jobs, at one instant.
--
-- KEYS  1 queue  2 arq:abort  3 prefix of the workers' rows  4.. record, payload, in-progress, retry, result, said prefixes
-- ARGV  ids
-- returns  for each id: {names and values of its record, payload, envelope of its result, score in the queue, ms since the
--          epoch when its record goes (below 0: it does not), score of a request to cancel, ms when its worker was seen
--          last while it runs}; what is not there, or is of a type that is not ours, is nil, or {} for the record
--
-- after: as before.
local QUEUE, ABORT, ROW, RECORD, PAYLOAD, _, _, RESULT = unpack(KEYS)

-- A reply, or `otherwise` where the key is somebody else's.
local function ours(reply, otherwise)
  if type(reply) == 'table' and reply.err then
    return otherwise
  end
  return reply
end

local function seen(id)
  local told = ours(redis.pcall('HMGET', RECORD .. id, 'state', 'incarnation'), {})
  return told[1] == 'running' and told[2] and ours(redis.pcall('HGET', ROW .. told[2], 'seen'), false)
end

local jobs = {}
for i, id in ipairs(ARGV) do
  jobs[i] = {
    ours(redis.pcall('HGETALL', RECORD .. id), {}),
    ours(redis.pcall('GET', PAYLOAD .. id), false),
    ours(redis.pcall('GET', RESULT .. id), false),
    ours(redis.pcall('ZSCORE', QUEUE, id), false),
    ours(redis.pcall('PEXPIRETIME', RECORD .. id), -2),
    ours(redis.pcall('ZSCORE', ABORT, id), false),
    seen(id) or false,
  }
end
return jobs
