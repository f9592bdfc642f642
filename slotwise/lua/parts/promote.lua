-- promote: a scheduled job gets its head start when it falls due, never before.
--
-- Needs QUEUE, PROMOTE, RECORD, LOOK_AT_MOST, exact.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', PROMOTE, '-inf', exact, 'LIMIT', 0, LOOK_AT_MOST)) do
  redis.call('ZREM', PROMOTE, id)
  local r = redis.call('HMGET', RECORD .. id, 'due', 'head_start')
  if r[1] and r[2] and redis.call('ZSCORE', QUEUE, id) == r[1] then
    local score = r[1] - r[2]
    redis.call('ZADD', QUEUE, score, id)
    redis.call('HSET', RECORD .. id, 'score', score)
  end
end
