-- failures: failed jobs by what is the same of them: algorithm, error type, and `origin`, the exception's class and where
-- it was raised. A group is counted up, not made of jobs: it outlives them, for a week after its last. A tenant's are
-- groups of its own, listed under OF .. tenant too.
--
-- Needs the part index.
local MOST_GROUPS = 1000  -- those that were seen last
local FAILURE_KEPT_MS = 604800000
local MOST_OF_TENANT = 100
local OF = 'of:'
local EXAMPLES = 5  -- ids of the latest

local function list_for(whose, fingerprint, now)
  local own = FAILURE_OF .. OF .. whose
  redis.call('ZADD', own, now, fingerprint)
  redis.call('ZREMRANGEBYSCORE', own, '-inf', now - FAILURE_KEPT_MS)
  redis.call('PEXPIRE', own, FAILURE_KEPT_MS)
  if redis.call('ZCARD', own) > MOST_OF_TENANT then
    local oldest = redis.call('ZPOPMIN', own)[1]
    redis.call('DEL', FAILURE_OF .. oldest)
    redis.call('ZREM', FAILURES, oldest)
  end
end

-- `whose`: the tenant; nil or '' = nobody's.
local function count_failure(id, algorithm, failure, origin, now, whose)
  local kind = error_type(failure)
  local fingerprint = string.sub(redis.sha1hex(algorithm .. '\n' .. kind .. '\n' .. origin
    .. (whose and whose ~= '' and '\n' .. whose or '')), 1, 16)
  local key = FAILURE_OF .. fingerprint
  local count = redis.pcall('HINCRBY', key, 'count', 1)
  if type(count) == 'table' then  -- an error: it was no number
    redis.call('HSET', key, 'count', 1)
    count = 1
  end
  local first = count == 1 and {'first', now, 'algorithm', algorithm, 'type', kind, 'origin', origin} or {}
  redis.call('HSET', key, 'last', now, 'error', failure, 'id:' .. count % EXAMPLES, id, unpack(first))
  redis.call('PEXPIRE', key, FAILURE_KEPT_MS)
  redis.call('ZADD', FAILURES, now, fingerprint)
  if count == 1 and redis.call('ZCARD', FAILURES) > MOST_GROUPS then
    redis.call('DEL', FAILURE_OF .. redis.call('ZPOPMIN', FAILURES)[1])
  end
  if whose and whose ~= '' then
    list_for(whose, fingerprint, now)
  end
end
