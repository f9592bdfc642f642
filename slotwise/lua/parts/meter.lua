-- meter: how the slots were used, kept up in every step that changes who runs, or the cap.
--
-- Needs METER, RUNNING. Between two steps both numbers stand still, so the areas under them (slot-milliseconds) are
-- exact at every instant; the areas at the last hundred ten-second marks make the utilisation of any window of them.
-- `saturated_since`: since when as many run as the cap allows. `free_since`: since when fewer run than that, and than the
-- workers have slots for (`room`; '' = they follow the cap). `free`: the area between.
local MARK_MS, MARKS = 10000, 100

local function free_rate(running, cap, room)
  return math.max(0, math.min(tonumber(cap or 0), tonumber(room or nil) or math.huge) - tonumber(running or 0))
end

-- `new_room`: where the step changed that.
local function measure(now, cap, new_room)
  local m = redis.call('HMGET', METER, 'at', 'running', 'cap', 'used', 'offered', 'saturated_since', 'free_since', 'room',
    'free')
  if not m[1] then
    redis.call('HSET', METER, 'began', now)
  end
  local at, running = tonumber(m[1] or now), redis.call('ZCARD', RUNNING)
  local was, had = tonumber(m[2] or 0), tonumber(m[3] or cap)
  local used, offered = tonumber(m[4] or 0), tonumber(m[5] or 0)
  local fields = {}
  local first = math.floor(at / MARK_MS) + 1
  for mark = math.max(first, math.floor(now / MARK_MS) - MARKS + 1), math.floor(now / MARK_MS) do
    local passed = mark * MARK_MS - at
    fields[#fields + 1] = 'mark:' .. mark % MARKS
    fields[#fields + 1] = string.format('%d %.0f %.0f', mark, used + was * passed, offered + had * passed)
  end
  local passed, room = math.max(0, now - at), new_room or m[8] or ''
  local full = free_rate(running, cap, room) == 0
  fields[#fields + 1], fields[#fields + 2] = 'free', string.format('%.3f', (m[9] or 0) + free_rate(was, had, m[8]) * passed)
  redis.call('HSET', METER, 'at', math.max(at, now), 'running', running, 'cap', cap,
    'used', string.format('%.3f', used + was * passed), 'offered', string.format('%.3f', offered + had * passed),
    'room', room, 'saturated_since', running >= cap and (m[6] and m[6] ~= '' and m[6] or now) or '',
    'free_since', full and '' or (m[7] and m[7] ~= '' and m[7] or now), unpack(fields))
end
