-- strays: jobs that count as waiting and are not in the queue: whoever knows nothing of us (a stock worker on the same
-- queue) ended them. Each call looks at a few of one algorithm, so that all are found sooner or later.
--
-- Needs QUEUE, CATALOGUE, PENDING_OF, RECORD, now, leave_pending(), the part index.
local LOOKED_AT = 20

local function forget_strays(keep)
  local names = redis.call('HKEYS', CATALOGUE)
  names[#names + 1] = ''
  local algorithm = names[now % #names + 1]
  local ids = redis.call('ZRANDMEMBER', PENDING_OF .. algorithm, LOOKED_AT)
  local scores = #ids > 0 and redis.call('ZMSCORE', QUEUE, unpack(ids)) or {}
  for i, id in ipairs(ids) do
    if not scores[i] then
      leave_pending(algorithm, id, redis.call('HGET', RECORD .. id, 'tenant'))
      if redis.call('PEXPIRE', RECORD .. id, keep, 'NX') == 1 then  -- for its labels
        put(entering, EXPIRING, now + keep, entry_of(id, 'pending', algorithm, ''))
      end
    end
  end
end
