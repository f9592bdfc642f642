-- onward: the time of this move, never before that of an earlier one: a clock that was set back must neither hide the
-- jobs that were due before nor put new ones in front of them.
--
-- Needs METER.
local function onward(exact)
  local seen = tonumber(redis.call('HGET', METER, 'seen') or 0)
  if exact <= seen then
    return seen
  end
  redis.call('HSET', METER, 'seen', exact)
  return exact
end
