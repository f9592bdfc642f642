-- tenants: fair shares of the slots between tenants. Where there are any, each one's due jobs stand aside in a set of its
-- own, and a slot goes to who has the fewest: of those, to whom none was given for longest; of one tenant's jobs, to the
-- best. Whoever is no tenant's counts as one more.
--
-- Needs TENANTS, QUEUE, RECORD, ABORT, RUNNING_OF, MARK, room(), park(), exact.
local BROUGHT_IN = 100  -- jobs that one claim moves aside
local met = {}

local function tenant(whose)
  if not met[whose] then
    local t = redis.call('HMGET', TENANTS, 'running:' .. whose, 'served:' .. whose)
    met[whose] = {most = tonumber(t[1] or nil) or math.huge, served = tonumber(t[2] or nil) or 0,
      holds = redis.call('ZCARD', RUNNING_OF .. MARK .. whose)}
  end
  return met[whose]
end

local function room_of_tenant(whose)
  local t = tenant(whose)
  return t.most - t.holds
end

-- Of what is in the name of a parked set: an algorithm, a tenant, or both.
function limits_in(set)
  local at = string.find(set, MARK, 1, true)
  if not at then
    return set, ''
  end
  return string.sub(set, 1, at - 1), string.sub(set, at + 1)
end

function room_in(set)
  local algorithm, whose = limits_in(set)
  local left = algorithm ~= '' and room(algorithm) or math.huge
  return whose ~= '' and math.min(left, room_of_tenant(whose)) or left
end

local function take_share(whose)
  local t = tenant(whose)
  t.holds, t.served, t.took = t.holds + 1, exact, true
end

local function write_shares()
  for whose, t in pairs(met) do
    if t.took then
      redis.call('HSET', TENANTS, 'served:' .. whose, string.format('%.3f', exact))
    end
  end
end

-- Jobs of tenants that are in sight: they fell due, or wait again.
local function bring_in()
  local due = redis.call('ZRANGEBYSCORE', QUEUE, '-inf', exact, 'WITHSCORES', 'LIMIT', 0, BROUGHT_IN)
  local aborts = redis.call('EXISTS', ABORT) == 1
  for i = 1, #due, 2 do
    local r = redis.pcall('HMGET', RECORD .. due[i], 'tenant', 'state', 'score')
    if r[1] and r[2] == 'pending' and not (aborts and redis.call('ZSCORE', ABORT, due[i])) then
      park(due[i], MARK .. r[1], tonumber(r[3] or nil) or due[i + 1])
    end
  end
end

-- `rows` = {score, id, set}, the best of each set and of the queue; in the order in which they are to start.
function share_out(rows)
  table.sort(rows, function(a, b)
    return a[1] < b[1]
  end)
  local places = {}
  for _, row in ipairs(rows) do
    local _, whose = limits_in(row[3] or '')
    local t = tenant(whose)
    places[whose] = places[whose] or t.holds
    row.place, row.served = places[whose], places[whose] == t.holds and t.served or exact
    places[whose] = places[whose] + 1
  end
  table.sort(rows, function(a, b)
    if a.place ~= b.place then
      return a.place < b.place
    elseif a.served ~= b.served then
      return a.served < b.served
    end
    return a[1] < b[1]
  end)
end
