-- setback: a clock that is set back must not hide the jobs that were due by it before: they are due now, in their order.
-- What was to run later runs at its time by the clock as it is.
--
-- Needs QUEUE, METER. `seen` is the latest time that a submit or a claim has seen.
local SLEWED_MS = 1000  -- a clock that goes back by less makes nobody wait for longer than that
local AT_MOST = 1000  -- jobs in one call; the next claims go on

local function note_time(wall)
  local seen = tonumber(redis.call('HGET', METER, 'seen') or 0)
  if wall > seen then
    redis.call('HSET', METER, 'seen', wall)
  end
  return seen
end

local function mind_setback(wall)
  local seen = note_time(wall)
  if wall >= seen - SLEWED_MS then
    return
  end
  local ids = redis.call('ZRANGEBYSCORE', QUEUE, '(' .. wall, seen, 'LIMIT', 0, AT_MOST)
  local scores = {}
  for i, id in ipairs(ids) do
    scores[#scores + 1], scores[#scores + 2] = wall - (#ids - i) / 1000, id
  end
  if #ids > 0 then
    redis.call('ZADD', QUEUE, unpack(scores))
  end
  if #ids < AT_MOST then
    redis.call('HSET', METER, 'seen', wall, 'at', wall)
  end
end
