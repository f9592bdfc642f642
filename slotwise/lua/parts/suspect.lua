-- suspect: a job under which all but one of the workers it may cost have died.
--
-- Needs QUEUE, RECORD.
local DEATHS = 3  -- workers that may die under a job; the last time it runs alone

-- Whether the job still waits to run alone: it may have ended meanwhile, and its id be another job's.
local function waits_to_run_alone(id)
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'deaths')
  return r[1] == 'pending' and tonumber(r[2]) == DEATHS - 1 and redis.call('ZSCORE', QUEUE, id)
end
