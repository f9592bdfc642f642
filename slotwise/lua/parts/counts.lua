-- counts: what the fleet has done since the server knows it, for the metrics: the same from every process that asks.
-- Fields "name:label:…:algorithm" of one hash, whole numbers; a histogram's are "name:{number of its bucket}:algorithm"
-- and "name_sum:algorithm", in microseconds. What one step counts is written at its end, each field once.
--
-- Needs COUNTS.
local BUCKETS_MS = {1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000}
local counted = {}

local function count(field, by)
  counted[field] = (counted[field] or 0) + (by or 1)
end

local function observe(name, ms, algorithm)
  local bucket = 1
  while BUCKETS_MS[bucket] and ms > BUCKETS_MS[bucket] do
    bucket = bucket + 1
  end
  count(name .. ':' .. bucket .. ':' .. algorithm)
  count(name .. '_sum:' .. algorithm, math.floor(ms * 1000 + 0.5))
end

local function write_counts()
  for field, by in pairs(counted) do
    redis.call('HINCRBY', COUNTS, field, by)
  end
end
