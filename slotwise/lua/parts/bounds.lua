-- bounds: what binds a tenant's submits: how many of its jobs may wait, and how many it may submit in a time. The rate is
-- the generic cell rate algorithm (ATM Forum, Traffic Management 4.0, 1996): one number tells all that was submitted.
--
-- Needs TENANTS, PENDING_OF, MARK, exact.
local bounds = {}

local function read_bounds(whose)
  local l = redis.call('HMGET', TENANTS, 'rate:' .. whose, 'tat:' .. whose)
  local count, window = string.match(l[1] or '', '^(%d+) (%d+)$')
  bounds = {whose = whose, count = tonumber(count), window = tonumber(window)}
  if count then  -- no further ahead than a window, whatever the clock did
    bounds.whole_at = math.min(math.max(exact, tonumber(l[2] or nil) or 0), exact + window)
  end
end

-- As slotwise/store.py tells it; nothing where there is no rate.
local function quota()
  if not bounds.count then
    return {}
  end
  local reset = bounds.whole_at - exact
  return {bounds.count, bounds.window, math.floor((bounds.window - reset) * bounds.count / bounds.window + 1e-6),
    math.ceil(reset)}
end

local function too_many(whose, jobs)
  local most = tonumber(redis.call('HGET', TENANTS, 'pending:' .. whose) or nil)
  return most and redis.call('ZCARD', PENDING_OF .. MARK .. whose) + jobs > most and {'many', most}
end

-- What forbids so many jobs more; nil where nothing does.
local function refusal(jobs)
  local many = too_many(bounds.whose, jobs)
  if many then
    return many
  elseif bounds.count and jobs > bounds.count then
    return {'wide', bounds.count}
  elseif bounds.count then
    local over = bounds.whole_at - exact + jobs * bounds.window / bounds.count - bounds.window
    if over > 1e-6 then
      return {'rate', math.ceil(over), quota()}
    end
  end
end

local function spend(jobs)
  if bounds.count then
    bounds.whole_at = bounds.whole_at + jobs * bounds.window / bounds.count
    redis.call('HSET', TENANTS, 'tat:' .. bounds.whose, string.format('%.3f', bounds.whole_at))
  end
end
