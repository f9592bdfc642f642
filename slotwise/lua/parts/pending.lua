-- pending: the jobs that wait, by algorithm ('' = none is told), scored by when they came: counted and listed without
-- a walk over the queue. A stock client's job is among them from its first meeting with a claim: until then only its
-- payload says what it is.
--
-- Needs PENDING_OF, RECORD, the part index. What one step changes is written at its end, each set once.
--
-- A tenant's jobs have sets of their own beside these, under names that no algorithm has: MARK .. tenant. So it is with
-- those that run, and those that stand aside. `whose`: the tenant; nil or '' = nobody's.
local MARK = '"'
local coming, leaving = {}, {}

-- Whose the attempt is that is held under a token; nil where no claim asked ('' = nobody's).
local function tenant_in(held)
  return string.match(held, '^[^%s@]*@(%S*)')
end

local function is_told(whose)
  return whose and whose ~= ''
end

local function enter_pending(algorithm, id, created, whose)
  if is_told(whose) then
    enter_pending(MARK .. whose, id, created)
  end
  coming[algorithm] = coming[algorithm] or {}
  table.insert(coming[algorithm], created)
  table.insert(coming[algorithm], id)
end

-- For a job that waits again.
local function return_to_pending(algorithm, id, now, whose)
  local r = redis.pcall('HMGET', RECORD .. id, 'created', 'due')
  enter_pending(algorithm, id, tonumber(r[1] or r[2] or nil) or now, whose)
end

local function leave_pending(algorithm, id, whose)
  if is_told(whose) then
    leave_pending(MARK .. whose, id)
  end
  leaving[algorithm] = leaving[algorithm] or {}
  table.insert(leaving[algorithm], id)
end

local function write_pending()
  for algorithm, ids in pairs(leaving) do
    redis.call('ZREM', PENDING_OF .. algorithm, unpack(ids))
  end
  for algorithm, rows in pairs(coming) do
    if string.sub(algorithm, 1, 1) ~= MARK then
      note_name(algorithm)
    end
    redis.call('ZADD', PENDING_OF .. algorithm, unpack(rows))
  end
  coming, leaving = {}, {}
end
