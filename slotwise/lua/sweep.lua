#!lua flags=allow-oom
-- sweep: take jobs whose records have expired off the lists, and groups of failures that are old; and out of the slots what
-- is no job that runs.
--
-- KEYS  1.. record, payload, in-progress, retry, result, said prefixes  7 prefixes of the sets of an
--       algorithm: pending, running  9 leases  10 prefix of held  11.. the index, moves
-- ARGV  1 now ms ('' = TIME)  2 most jobs in this call
-- returns  number of entries that were due
--
-- after: no job changed its state. What is due and still there (the same end, a record kept a moment longer) is looked at
-- again; what is kept for ever is not.
local RECORD, SAID, PENDING_OF, RUNNING_OF, LEASES, HELD_OF = KEYS[1], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local RUNNING = KEYS[#KEYS - 2]
local AGAIN_MS = 1000
-- part: clock
-- part: index
-- part: labels
-- part: failures
-- part: phantoms
local now = clock(ARGV[1])

local function sweep(id, state, algorithm, kind, entry)
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'algorithm')
  if r[1] ~= state or (r[2] or '') ~= algorithm then
    unindex(id, state, algorithm, kind)
    if redis.call('EXISTS', RECORD .. id) == 0 then  -- else the id is another job's now, and so are the labels
      drop_labels(id)
    end
  elseif redis.call('PTTL', RECORD .. id) == -1 then
    put(parting, EXPIRING, entry)
  else
    put(entering, EXPIRING, now + AGAIN_MS, entry)
  end
end

local due = redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, entry in ipairs(due) do
  local state, kind, length, rest = string.match(entry, '^(%l+) ([%w_]*) (%d+) (.*)$')
  if rest then
    sweep(string.sub(rest, length + 1), state, string.sub(rest, 1, length), kind, entry)
  else  -- none of ours wrote it
    put(parting, EXPIRING, entry)
  end
end
write_index()
for _, fingerprint in ipairs(redis.call('ZRANGEBYSCORE', FAILURES, '-inf', now - FAILURE_KEPT_MS)) do
  redis.call('DEL', FAILURE_OF .. fingerprint)
  redis.call('ZREM', FAILURES, fingerprint)
end

-- One name a call is looked at; one with no job left is forgotten.
local name = redis.call('SRANDMEMBER', NAMES)
drop_phantoms(RUNNING, is_nobodys)
drop_phantoms(RUNNING_OF .. (name or ''), is_no_slot)
drop_phantoms(RUNNING_OF, is_no_slot)
if name and redis.call('EXISTS', PENDING_OF .. name, RUNNING_OF .. name, ENDED_OF .. 'completed:' .. name,
    ENDED_OF .. 'failed:' .. name, ENDED_OF .. 'cancelled:' .. name) == 0 then
  redis.call('SREM', NAMES, name)
end
return #due
