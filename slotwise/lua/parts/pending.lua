-- pending: the jobs that wait, by algorithm ('' = none is told), scored by when they came: counted and listed without
-- a walk over the queue. A stock client's job is among them from its first meeting with a claim: until then only its
-- payload says what it is.
--
-- Needs PENDING_OF, RECORD, the part index. What one step changes is written at its end, each set once.
local coming, leaving = {}, {}

local function enter_pending(algorithm, id, created)
  coming[algorithm] = coming[algorithm] or {}
  table.insert(coming[algorithm], created)
  table.insert(coming[algorithm], id)
end

-- For a job that waits again.
local function return_to_pending(algorithm, id, now)
  local r = redis.pcall('HMGET', RECORD .. id, 'created', 'due')
  enter_pending(algorithm, id, tonumber(r[1] or r[2] or nil) or now)
end

local function leave_pending(algorithm, id)
  leaving[algorithm] = leaving[algorithm] or {}
  table.insert(leaving[algorithm], id)
end

local function write_pending()
  for algorithm, ids in pairs(leaving) do
    redis.call('ZREM', PENDING_OF .. algorithm, unpack(ids))
  end
  for algorithm, rows in pairs(coming) do
    note_name(algorithm)
    redis.call('ZADD', PENDING_OF .. algorithm, unpack(rows))
  end
  coming, leaving = {}, {}
end
