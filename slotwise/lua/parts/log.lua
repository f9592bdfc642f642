-- log: the admission log, from which the proof is replayed: one entry a step that changed who runs, or the cap.
--
-- Needs LOG, RUNNING. Each entry carries what is true after the step: how many run, and the cap in force.
local LOG_ENTRIES = 50000

local function write_log(at, move, ids, cap)
  redis.call('XADD', LOG, 'MAXLEN', '~', LOG_ENTRIES, '*', 'at', at, 'move', move, 'ids', #ids > 0 and cjson.encode(ids) or '[]',
    'running', redis.call('ZCARD', RUNNING), 'cap', cap)
end
