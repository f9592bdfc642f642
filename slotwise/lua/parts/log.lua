-- log: the admission log, from which the proof is replayed: one entry a step that changed who runs, or the cap.
--
-- Needs LOG, RUNNING; for a `cap` step also CAP and the part cap. Each entry carries what is true after the step: how
-- many run, and the cap in force. An override that ends by itself writes no entry: the `cap` entry that began it, or
-- found it, says when it ends and to what.
local LOG_ENTRIES = 50000

local function write_log(at, move, ids, cap)
  local ends = {}
  if move == 'cap' then
    local _, ends_in = cap_in_force(CAP, at)
    ends = ends_in and {'until', at + ends_in, 'reverts_to', redis.call('HGET', CAP, 'configured') or CAP_OF_NOBODY} or {}
  end
  redis.call('XADD', LOG, 'MAXLEN', '~', LOG_ENTRIES, '*', 'at', at, 'move', move,
    'ids', #ids > 0 and cjson.encode(ids) or '[]', 'running', redis.call('ZCARD', RUNNING), 'cap', cap, unpack(ends))
end
