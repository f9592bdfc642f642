-- receivers: when what waits for a receiver is due. One delivery of a job is under way at a time, so that what its webhook
-- is told comes in order; `deliveries` says which.
--
-- Needs RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES.
local function receiver_of(url)
  return string.match(url, '^%l+://[^/?]+')
end

-- The entry that is being told or was tried, how often in vain, and by whom it is told now ('-': nobody).
local function delivery_of(id)
  return string.match(redis.call('HGET', DELIVERIES, id) or '', '^(%S+) (%d+) (%S+)$')
end

-- What a job's webhook is told next, and last: an entry's id, its kind, and all of it; nil where nothing is, or none of ours.
local function entry_at(id, place)
  local whole = redis.pcall('LINDEX', OUTBOX_OF .. id, place)
  if type(whole) == 'string' then
    local entry, kind = string.match(whole, '^(%d+) (%l+) ')
    return entry, kind, whole
  end
end

local function make_due(receiver, id, at)
  redis.call('ZADD', DUE_OF .. receiver, at, id)
  redis.call('ZADD', RECEIVERS, 'LT', at, receiver)
end
