-- index: the sets from which jobs are listed, all scored by when the job was made. One that waits or runs stands in its
-- algorithm's set of those (parts pending, room); one that has ended in that of its state and algorithm, and a failed
-- one in that of its error's type too. `expiring` says when the record of an ended job goes, and where it then stands
-- without one: `sweep` takes it off.
--
-- Needs, as the last KEYS before those of the part moves, Keys.of_index. What one step changes is written at its end, each set once.
local NAMES, EXPIRING, ENDED_OF, ERRORS_OF, TAGS, LABELLED_OF, FAILURES, FAILURE_OF = unpack(KEYS, #KEYS - 11, #KEYS - 4)
local HAS_ENDED = {completed = true, failed = true, cancelled = true}
local named, entering, parting = {}, {}, {}

-- An algorithm that has a set: where a job comes in, not where it goes from one set of it to another.
local function note_name(algorithm)
  if algorithm ~= '' and not named[algorithm] then
    named[algorithm] = true
    redis.call('SADD', NAMES, algorithm)
  end
end

local function put(sets, key, value, member)
  local set = sets[key] or {}
  set[#set + 1] = value
  set[#set + 1] = member
  sets[key] = set
end

local function error_type(failure)
  return failure and string.match(failure, '^{"type":"([%w_]+)"') or ''
end

-- A member of `expiring`: who ended how, of what.
local function entry_of(id, state, algorithm, kind)
  return state .. ' ' .. kind .. ' ' .. #algorithm .. ' ' .. algorithm .. id
end

-- `expires`: when its record does; nil for never.
local function index_ended(id, state, algorithm, failure, created, expires)
  local kind = state == 'failed' and error_type(failure) or ''
  put(entering, ENDED_OF .. state .. ':' .. algorithm, created, id)
  if kind ~= '' then
    put(entering, ERRORS_OF .. kind, created, id)
  end
  if expires then
    put(entering, EXPIRING, expires, entry_of(id, state, algorithm, kind))
  end
end

local function unindex(id, state, algorithm, kind)
  put(parting, ENDED_OF .. state .. ':' .. algorithm, id)
  put(parting, EXPIRING, entry_of(id, state, algorithm, kind))
  if kind ~= '' then
    put(parting, ERRORS_OF .. kind, id)
  end
end

-- Take a job of which the record says that it has ended off the lists.
local function unindex_ended(id)
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'algorithm', 'error')
  if HAS_ENDED[r[1]] then
    unindex(id, r[1], r[2] or '', r[1] == 'failed' and error_type(r[3]) or '')
  end
end

local function write_index()
  for key, ids in pairs(parting) do
    redis.call('ZREM', key, unpack(ids))
  end
  for key, rows in pairs(entering) do
    redis.call('ZADD', key, unpack(rows))
  end
  entering, parting = {}, {}
end
