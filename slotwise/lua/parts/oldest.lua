-- oldest: since when the job that has waited longest has been due, in ms; nil where none waits.
--
-- Who has a head start stands before others that are due for longer. The order is by score, and nobody's score is
-- above its due time: past the oldest that was found, none can be older.
--
-- Needs QUEUE, PARKED, SUSPECTS and the prefixes PARKED_OF, RECORD.
local LOOK_AT_MOST = 200  -- jobs in front of the one that has waited longest, besides the first of each set

local function oldest_due(exact)
  local oldest, looks = nil, LOOK_AT_MOST
  local function look_for_older(key)
    local at = 0
    while at == 0 or looks > 0 do
      local row = redis.call('ZRANGE', key, at, at, 'WITHSCORES')
      if not row[1] or tonumber(row[2]) > math.min(exact, oldest or exact) then
        return
      end
      local due = redis.pcall('HMGET', RECORD .. row[1], 'due', 'ready')
      due = math.max(tonumber(due[1] or row[2]) or 0, tonumber(due[2] or 0) or 0)
      oldest = math.min(oldest or due, due)
      at, looks = at + 1, looks - 1
    end
  end
  look_for_older(QUEUE)
  for _, algorithm in ipairs(redis.call('SMEMBERS', PARKED)) do
    look_for_older(PARKED_OF .. algorithm)
  end
  for _, id in ipairs(redis.call('ZRANGE', SUSPECTS, 0, 0)) do
    local due = tonumber(redis.call('HGET', RECORD .. id, 'due') or nil)
    oldest = due and math.min(oldest or due, due) or oldest
  end
  return oldest
end
