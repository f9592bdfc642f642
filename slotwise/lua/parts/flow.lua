-- flow: how many jobs of an algorithm come ('came') and go ('went') of late, each counting less the longer ago it was:
-- by 1/e after five minutes. A field is "weight at since n": the sum of these counts at the ms `at`, since when it is
-- kept, and of how many jobs. slotwise/pace.py makes a rate of it.
--
-- Needs PACE.
local MEMORY_MS = 300000

local function keep_flow(way, name, jobs, now)
  local field = way .. ':' .. name
  local weight, at, since, n = string.match(redis.call('HGET', PACE, field) or '', '^(%S+) (%S+) (%S+) (%S+)$')
  local later = math.max(now, tonumber(at or now))  -- the clock may have been set back
  weight = tonumber(weight or 0) * math.exp((tonumber(at or later) - later) / MEMORY_MS) + jobs
  redis.call('HSET', PACE, field, string.format('%.6f %.0f %.0f %.0f', weight, later, since or now, (n or 0) + jobs))
end
