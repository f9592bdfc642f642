-- granting: what a record says of the attempt that is granted, and the grant as the worker gets it.
--
-- Needs RECORD, DEATHS, forget_earlier().
-- A record's field; 0 for one that is missing, or no number, whoever wrote it.
local function number_of(value)
  return tonumber(value or 0) or 0
end

-- What a record in this state says of the attempt; nothing where it is no hash, or of an earlier job of this id.
local function record_of(id, state)
  -- What costs a claim most is to ask for twenty fields of which a job that was never tried has nine.
  local first = redis.pcall('HMGET', RECORD .. id, 'plain', 'state', 'attempt', 'score', 'timeout', 'max_attempts',
    'algorithm', 'due', 'created')
  if first[1] and first[2] == state and not first[3] then
    return {state = state, attempt = 0, score = first[4], deaths = 0, timeout = first[5] or '',
      max_attempts = first[6] or '', keep_result = '', memory_mb = '', cpu_seconds = '', algorithm = first[7],
      ready = number_of(first[8]), open_files = '', file_mb = '', created = first[9]}
  end
  local r = redis.pcall('HMGET', RECORD .. id, 'state', 'attempt', 'score', 'deaths', 'cancel_requested', 'timeout',
    'max_attempts', 'keep_result', 'memory_mb', 'cpu_seconds', 'expires', 'started', 'algorithm', 'due', 'ready',
    'open_files', 'file_mb', 'created', 'webhook_events', 'tenant')
  if r.err or (r[1] and r[1] ~= state) then
    forget_earlier(id)
    r = {}
  end
  return {state = r[1], attempt = number_of(r[2]), score = r[3], deaths = number_of(r[4]),
    cancel_requested = r[5], timeout = r[6] or '', max_attempts = r[7] or '', keep_result = r[8] or '',
    memory_mb = r[9] or '', cpu_seconds = r[10] or '', expires = r[11] and number_of(r[11]), started = r[12],
    algorithm = r[13], ready = math.max(number_of(r[14]), number_of(r[15])), open_files = r[16] or '',
    file_mb = r[17] or '', created = r[18], tells = r[19], tenant = r[20] or nil}
end

local function grant(id, token, r, payload, cancelled)
  local notice = ''
  if not payload then
    notice = 'expired'
  elseif cancelled then
    notice = 'abort'
  elseif r.deaths >= DEATHS then
    notice = 'lost'
  end
  return {id, token, r.attempt, r.score, notice, payload or '', r.timeout, r.max_attempts, r.keep_result,
    r.memory_mb, r.cpu_seconds, r.open_files, r.file_mb}
end
