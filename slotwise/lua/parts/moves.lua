-- moves: what becomes of jobs, in the order of the moves, for those who listen to the whole fleet. The stream is there
-- only while somebody does (`listen` makes it, under a TTL): else it costs a step that moves a job one EXISTS.
--
-- Needs the part cap; as the last four KEYS, Keys.of_moves. An entry has `at` (ms); the rows of its step, "1", "2", …, each
-- "state reason attempt error_type length_of_algorithm algorithm" and the id; and `slots`, "cap running pending" as they
-- are after the step. The rows of a large step take more than one entry: the last has `slots`.
local moves = {queue = KEYS[#KEYS - 3], running = KEYS[#KEYS - 2], cap = KEYS[#KEYS - 1], stream = KEYS[#KEYS], rows = {}}
local MOST_ENTRIES, MOST_ROWS = 10000, 50  -- of the stream, about; of an entry

function moves.heard()
  if moves.is_heard == nil then
    moves.is_heard = redis.call('EXISTS', moves.stream) == 1
  end
  return moves.is_heard
end

function moves.note(id, state, reason, attempt, error_type, algorithm)
  if moves.heard() then
    moves.rows[#moves.rows + 1] = table.concat({state, reason, attempt, error_type, #algorithm, algorithm .. id}, ' ')
    moves.slots = moves.slots or state ~= 'erased'
  end
end

-- As snapshot.lua counts them: scheduled jobs are not pending.
function moves.count(now)
  local running = redis.call('ZCARD', moves.running)
  local scheduled = redis.call('ZCOUNT', moves.queue, '(' .. now + 1, '(9000000000000000')  -- HIDDEN of claim.lua
  return string.format('%d %d %d', cap_in_force(moves.cap, now), running,
    math.max(0, redis.call('ZCARD', moves.queue) - running - scheduled))
end

-- At the end of a step. What is wrong with the stream is no reason to refuse the step.
function moves.write(now)
  local rows, from = moves.rows, 1
  while from <= #rows or moves.slots do
    local to, entry = math.min(from + MOST_ROWS - 1, #rows), {'at', now}
    for i = from, to do
      entry[#entry + 1], entry[#entry + 2] = i - from + 1, rows[i]
    end
    if to == #rows and moves.slots then
      entry[#entry + 1], entry[#entry + 2], moves.slots = 'slots', moves.count(now), nil
    end
    redis.pcall('XADD', moves.stream, 'NOMKSTREAM', 'MAXLEN', '~', MOST_ENTRIES, '*', unpack(entry))
    from = to + 1
  end
  moves.rows = {}
end

-- The cap is another, or no job was moved.
function moves.write_slots(now)
  moves.slots = moves.heard()
  moves.write(now)
end
