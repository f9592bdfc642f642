#!lua flags=allow-oom
-- erase: forget a job that has ended.
--
-- KEYS  1 queue  2 running  3 promote  4 unstarted  5 suspects  6 abort  7.. record, payload, in-progress, retry,
--       result, said prefixes  13 prefix of attempts to tell webhooks  14.. the index, moves
-- ARGV  1 id  2 tenant who asks ('' = may see all)
-- returns  'erased' | 'active' (it waits or runs, and nothing was changed) | 'unknown'
--
-- after: nothing in Redis knows the job, and its id may be submitted as a new one. What its webhook has not been told yet,
-- it is told.
local QUEUE, RUNNING, PROMOTE, UNSTARTED, SUSPECTS, ABORT, RECORD, PAYLOAD, IN_PROGRESS, RETRY, RESULT, SAID,
  ATTEMPTS_OF = unpack(KEYS)
-- part: clock
-- part: cap
-- part: index
-- part: labels
-- part: owner
-- part: moves
local id = ARGV[1]

if not is_seen_by(id, ARGV[2]) then
  return 'unknown'
end
if redis.call('ZSCORE', QUEUE, id) or redis.call('ZSCORE', RUNNING, id) then
  return 'active'
end
local r = moves.heard() and redis.pcall('HMGET', RECORD .. id, 'attempt', 'algorithm') or {}
unindex_ended(id)
drop_labels(id)
write_index()
if redis.call('DEL', RECORD .. id, PAYLOAD .. id, RESULT .. id) == 0 then
  return 'unknown'
end
redis.call('DEL', IN_PROGRESS .. id, RETRY .. id, SAID .. id, ATTEMPTS_OF .. id)
for _, trace in ipairs({PROMOTE, UNSTARTED, SUSPECTS, ABORT}) do
  redis.call('ZREM', trace, id)
end
moves.note(id, 'erased', '', r[1] or 0, '', r[2] or '')
moves.write(clock())
return 'erased'
