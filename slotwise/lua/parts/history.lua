-- history: an attempt that ended, with the job waiting again, is remembered in the record, as JSON objects and commas.
--
-- Needs RECORD.
local HISTORY_BYTES = 16384  -- what came before is kept, what comes after is not

local function remember_attempt(id, outcome, now, account)
  local r = redis.call('HMGET', RECORD .. id, 'started', 'worker', 'history')
  local row = cjson.encode({started_ms = tonumber(r[1]) or now, ended_ms = now, worker = r[2] or '', outcome = outcome})
  if account and account ~= '' then  -- JSON already, and not decoded here
    row = string.sub(row, 1, -2) .. ',"account":' .. account .. '}'
  end
  local history = r[3] and r[3] .. ',' .. row or row
  if #history <= HISTORY_BYTES then
    redis.call('HSET', RECORD .. id, 'history', history)
  end
end
