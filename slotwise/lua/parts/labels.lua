-- labels: the jobs of each label, from their submit until nothing is kept of them. What labels a job has is kept beside
-- its record, which expires by itself. A tenant's jobs are labelled with it, under the name '' that no label has.
--
-- Needs SAID, the part index.
local function sets_of(labels)
  local keys, read, found = {}, pcall(cjson.decode, labels)
  for name, value in pairs(read and type(found) == 'table' and found or {}) do  -- else it is damaged
    keys[#keys + 1] = LABELLED_OF .. name .. ':' .. tostring(value)
  end
  return keys
end

local function drop_labels(id)
  local labels = redis.call('HGET', TAGS, id)
  if labels then
    redis.call('HDEL', TAGS, id)
    for _, key in ipairs(sets_of(labels)) do
      redis.call('ZREM', key, id)
    end
  end
end

-- `labels`: JSON; nil = none. `whose`: the tenant; '' = nobody's.
local function add_labels(id, labels, created, whose)
  if whose ~= '' then
    labels = '{"":"' .. whose .. '"' .. (labels and ',' .. string.sub(labels, 2) or '}')
  end
  redis.call('HSET', TAGS, id, labels)
  for _, key in ipairs(sets_of(labels)) do
    redis.call('ZADD', key, created, id)
  end
end

-- What is left of an earlier job of this id, which a stock client uses again.
local function forget_earlier(id)
  unindex_ended(id)
  drop_labels(id)
  redis.call('DEL', RECORD .. id, SAID .. id)
end
