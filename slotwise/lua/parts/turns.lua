-- turns: where a tenant's job stands, when every tenant is served in turn; and the ids that a tenant may be told.
--
-- Needs QUEUE, PARKED, PARKED_OF, RUNNING_OF, RECORD, TENANTS, exact, algorithm, recorded; ARGV[4] as explain.lua has it.
local MARK = '"'
local mark = recorded[3] and MARK .. recorded[3] or ''
local tenant_cap = recorded[3] and redis.call('HGET', TENANTS, 'running:' .. recorded[3])

local function parked_ahead(set, before)
  return redis.call('ZCOUNT', set, '-inf', before)
end

-- Its own tenant's jobs before it, and of each other tenant as many as get their turn meanwhile: an estimate.
local function ahead_by_turns(before)
  local own, others = parked_ahead(PARKED_OF .. mark, before), redis.call('ZCOUNT', QUEUE, '-inf', exact)
  for _, set in ipairs(redis.call('SMEMBERS', PARKED)) do
    if set ~= mark and string.sub(set, 1, 1) == MARK then
      others = others + math.min(own + 1, redis.call('ZCARD', PARKED_OF .. set))
    end
  end
  return own + others
end

-- Of those that run, the first `most` + 1, less what the tenant may not see.
local function those_seen(set, most)
  local ids, seen = redis.call('ZRANGE', set, 0, most), {}
  for _, each in ipairs(ids) do
    local whose = ARGV[4] ~= '' and redis.pcall('HGET', RECORD .. each, 'tenant')
    if ARGV[4] == '' or whose == ARGV[4] then
      seen[#seen + 1] = each
    end
  end
  return seen
end
