-- owner: whether a tenant sees a job. A stock client's is nobody's, also where it has the id of one that ended.
--
-- Needs QUEUE, RECORD, the part index.
local function is_seen_by(id, whose)
  if whose == '' then
    return true
  end
  local r = redis.pcall('HMGET', RECORD .. id, 'tenant', 'state')
  return r[1] == whose and not (HAS_ENDED[r[2]] and redis.call('ZSCORE', QUEUE, id))
end
