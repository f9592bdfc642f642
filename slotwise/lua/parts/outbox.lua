-- outbox: what a job's webhook is to be told, as the job is at this instant: written in the step that moves it. Raw
-- fields, of which the body is made when it is sent. A job without a webhook has no such fields in its record.
--
-- Needs RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES, RECORD, the part receivers.
local write_entry, tell
do  -- a script has 200 local names at most
local SHOWN = {'state', 'algorithm', 'error', 'attempt', 'max_attempts', 'priority', 'timeout', 'labels', 'created', 'due',
  'started', 'ended', 'cancel_requested', 'worker', 'account', 'progress', 'progress_of', 'ended_waiting', 'webhook'}
local MOST_RESULT = 21000  -- bytes: a result of 20 kB, and what else an envelope adds to its payload
local LASTS = {completed = true, failed = true, cancelled = true}

-- An entry is its id, its kind, and fields and values as netstrings, "length:bytes": nothing is escaped, nothing decoded.
-- `call`: the payload, or the envelope, with that name.
function write_entry(id, entry, kind, at, expires, name, call)
  local parts = {entry, ' ', kind, ' '}
  local function add(field, value)
    parts[#parts + 1] = #field .. ':' .. field .. #value .. ':'
    parts[#parts + 1] = value
  end
  add('@at', string.format('%.0f', at))
  if expires then
    add('@expires', string.format('%.0f', expires))
  end
  add(name, call)
  for i, value in ipairs(redis.call('HMGET', RECORD .. id, unpack(SHOWN))) do
    if value then
      add(SHOWN[i], value)
    end
  end
  redis.call('RPUSH', OUTBOX_OF .. id, table.concat(parts))
end

local function write_event(id, kind, now, expires, payload, envelope)
  local r = redis.call('HMGET', RECORD .. id, 'webhook', 'webhook_events')
  if not r[2] or not string.find(' ' .. r[2] .. ' ', ' ' .. kind .. ' ', 1, true) then
    return
  end
  local _, last = entry_at(id, -1)
  if kind == 'progress' and last == 'progress' then  -- only the latest is told
    redis.call('RPOP', OUTBOX_OF .. id)
  end
  local time = redis.call('TIME')
  local entry = string.format('%d%06d', time[1], time[2])
  payload = payload or ''
  local small = envelope and envelope ~= '' and #envelope - #payload <= MOST_RESULT
  write_entry(id, entry, kind, now, expires, small and '@envelope' or '@payload', small and envelope or payload)
  if LASTS[kind] then
    redis.call('HSET', RECORD .. id, 'told', entry)
  end
  local _, _, teller = delivery_of(id)
  if not teller or teller == '-' then
    make_due(receiver_of(r[1]), id, now)
  end
end

-- A key of another type where this belongs, whoever put it there, costs the job its webhook, and others nothing.
function tell(...)
  pcall(write_event, ...)
end
end
