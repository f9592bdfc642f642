-- parking: jobs that a claim met but may not start stand aside, with their true scores, in the set of the limit that
-- binds them; out of sight in the queue, so that nothing behind them is blocked and none is met twice. A set's name is the
-- algorithm; MARK and the tenant, of those that only wait for their tenant's turn; or both.
--
-- Needs QUEUE, PARKED, PARKED_OF, TENANTS, RECORD, HIDDEN, MARK, exact, enter_pending(); room_in(), limits_in() and share_out() of
-- the part tenants. `left_parking` says which this claim took from there, and of which set they were.
local left_parking = {}
local keyed = redis.call('EXISTS', TENANTS) == 1  -- whether there are tenants
local room_in, limits_in, share_out  -- by the part tenants

-- `made`: when, of a stock client's job; nil of one with a record.
local function park(id, algorithm, score, made)
  redis.call('ZADD', QUEUE, HIDDEN, id)
  redis.call('ZADD', PARKED_OF .. algorithm, score, id)
  redis.call('SADD', PARKED, algorithm)
  if made then
    enter_pending(algorithm, id, made)
  end
end

-- A job that is met stands aside no more: a stock client's abort brings it to the queue's front from anywhere.
local has_parking = {}
local function leave_parking(id, algorithm)
  if has_parking[algorithm] == nil then
    has_parking[algorithm] = redis.call('EXISTS', PARKED_OF .. algorithm) == 1
  end
  if has_parking[algorithm] then
    redis.call('ZREM', PARKED_OF .. algorithm, id)
  end
end

-- The first `most` of a parked set that still stand aside: {id, score, …}. Who has ended goes; who is in sight in the
-- queue (aborted by a stock client, or another job of that id) is met there.
local STALE_AT_A_TIME, STALE_PASSES = 100, 20
local function heads_of(algorithm, most)
  local key, heads, reach = PARKED_OF .. algorithm, {}, most
  for _ = 1, STALE_PASSES do
    local rows, gone = redis.call('ZRANGE', key, 0, reach - 1, 'WITHSCORES'), {}
    heads = {}
    for i = 1, #rows, 2 do
      local score = redis.call('ZSCORE', QUEUE, rows[i])
      if not score then
        gone[#gone + 1] = rows[i]
        local of, whose = limits_in(algorithm)
        leave_pending(of ~= '' and of or redis.call('HGET', RECORD .. rows[i], 'algorithm') or '', rows[i], whose)
      elseif tonumber(score) >= HIDDEN and #heads < 2 * most then
        heads[#heads + 1], heads[#heads + 2] = rows[i], rows[i + 1]
      end
    end
    if #gone > 0 then
      redis.call('ZREM', key, unpack(gone))
    end
    if #heads == 2 * most or #rows < 2 * reach or (#gone == 0 and reach > most) then
      break
    end
    reach = most + STALE_AT_A_TIME
  end
  return heads
end

-- {score, id, algorithm} of those whose limit has opened, at most `most` of each algorithm.
local function unparkable(most)
  local found = {}
  for _, algorithm in ipairs(redis.call('SMEMBERS', PARKED)) do
    local key, left = PARKED_OF .. algorithm, math.min(room_in(algorithm), most)
    local heads = left > 0 and heads_of(algorithm, left) or {}
    for i = 1, #heads, 2 do
      found[#found + 1] = {tonumber(heads[i + 1]), heads[i], algorithm}
    end
    if redis.call('EXISTS', key) == 0 then
      redis.call('SREM', PARKED, algorithm)
    end
  end
  return found
end

-- Whether one of those that stand aside might start here, but for the fleet's cap.
local function can_unpark()
  local one = false
  for _, algorithm in ipairs(redis.call('SMEMBERS', PARKED)) do
    one = redis.call('EXISTS', PARKED_OF .. algorithm) == 1 and room_in(algorithm) > 0 or one
  end
  return one
end

-- The best of the queue's due head and of what may leave its parking: {id, score, …}, at most `most`.
local function candidates(most)
  local due = redis.call('ZRANGEBYSCORE', QUEUE, '-inf', exact, 'WITHSCORES', 'LIMIT', 0, most)
  if redis.call('EXISTS', PARKED) == 0 then
    return due
  end
  local rows, seen = unparkable(most), {}
  for i = 1, #due, 2 do
    rows[#rows + 1] = {tonumber(due[i + 1]), due[i]}
  end
  if keyed then
    share_out(rows)
  else
    table.sort(rows, function(a, b)
      return a[1] < b[1]
    end)
  end
  local best = {}
  for _, row in ipairs(rows) do
    if not seen[row[2]] and #best < 2 * most then
      seen[row[2]] = true
      best[#best + 1], best[#best + 2] = row[2], string.format('%.17g', row[1])
      if row[3] then
        redis.call('ZREM', PARKED_OF .. row[3], row[2])
        left_parking[row[2]] = row[3]
      end
    end
  end
  return best
end
