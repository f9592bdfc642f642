-- aborts: whose requests to cancel count, and for which job of an id.
--
-- Needs ABORT, RECORD, HELD; ARGV[5] as claim.lua has it.
local function to_cancel(id)
  return redis.call('ZSCORE', ABORT, id)
    and (ARGV[5] == 'any' or redis.call('HEXISTS', RECORD .. id, 'cancel_requested') == 1)
end

-- A cancel from before the job was enqueued was meant for an earlier job of this id: it is forgotten.
local function meant_for(id, r, asked_at, payload)
  local enqueued = not r.cancel_requested and payload and string.match(string.sub(payload, -40), '"et":(%d+)}$')
  if enqueued and tonumber(asked_at) < tonumber(enqueued) then
    redis.call('ZREM', ABORT, id)
    return false
  end
  return ARGV[5] == 'any' or r.cancel_requested
end

-- Which of the jobs that the worker holds are to be cancelled. Requests for jobs that ended before are forgotten.
local ABORT_MS = 604800000  -- that a request to cancel is remembered: a week
local function held_to_cancel(now)
  local cancels = {}
  if redis.call('EXISTS', ABORT) == 1 then
    redis.call('ZREMRANGEBYSCORE', ABORT, '-inf', now - ABORT_MS)
    for _, id in ipairs(redis.call('HKEYS', HELD)) do
      if to_cancel(id) then
        cancels[#cancels + 1] = id
      end
    end
  end
  return cancels
end
