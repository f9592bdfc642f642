-- history: an attempt that ended, with the job waiting again, is remembered in the record, as JSON objects and commas.
-- Those for which there is no room are counted (`forgotten`): how often the job has moved is known all the same.
--
-- Needs RECORD.
local HISTORY_BYTES = 16384  -- what came before is kept, what comes after is not

local function remember_attempt(id, outcome, now, account)
  local r = redis.call('HMGET', RECORD .. id, 'started', 'worker', 'history', 'forgotten')
  local row = cjson.encode({started_ms = tonumber(r[1]) or now, ended_ms = now, worker = r[2] or '', outcome = outcome})
  if account and account ~= '' then  -- JSON already, and not decoded here
    row = string.sub(row, 1, -2) .. ',"account":' .. account .. '}'
  end
  local history = r[3] and r[3] .. ',' .. row or row
  if #history <= HISTORY_BYTES and not r[4] then
    redis.call('HSET', RECORD .. id, 'history', history)
  else
    redis.pcall('HINCRBY', RECORD .. id, 'forgotten', 1)  -- an error: no number of ours, and its own job's affair
  end
end
