#!lua
-- say: what running jobs say of themselves, their progress and what they write; each only if its token still owns
-- the job. Refused by a server that is full: a job needs none of it.
--
-- KEYS  1 held  2.. record, payload, in-progress, retry, result, said prefixes  8.. the outbox
-- ARGV  1 channel of jobs that said something  2 bytes of a job's output to keep, the newest; then for each attempt:
--       id, token, number of these words (they rise within the attempt), progress as JSON ('' = none since),
--       bytes that were left out before the output, output
-- returns  {'ok' | 'again' | 'stale', …}: `again` = these words, or later ones, are here already
--
-- after: as before, but for what is shown of the job. Its stream has the output in pieces, each with its place in all
-- that the job ever wrote, and between two pieces at most the latest progress.
local HELD, RECORD, PAYLOAD, SAID = KEYS[1], KEYS[2], KEYS[3], KEYS[7]
local RECEIVERS, DUE_OF, OUTBOX_OF, DELIVERIES = unpack(KEYS, 8)
local CHANNEL, MOST = ARGV[1], tonumber(ARGV[2])
local EACH = 6  -- arguments an attempt
local PIECE = 8192  -- bytes: what is kept is cut off in whole pieces
local ENTRIES = 2000  -- of a stream, about, however short they are
-- part: clock
-- part: receivers
-- part: outbox

local function fields_of(rows)
  return rows[1] and rows[1][2] or {}
end

-- Cut off what stands before the newest MOST bytes.
local function cut(said, written)
  while true do
    local first = redis.call('XRANGE', said, '-', '+', 'COUNT', 1)
    local fields = fields_of(first)
    if #fields == 0 or (fields[1] == 'at' and fields[2] + #fields[4] > written - MOST) then
      return
    end
    redis.call('XDEL', said, first[1][1])
  end
end

local function write(said, written, attempt, output)
  for from = 1, #output, PIECE do
    local piece = string.sub(output, from, from + PIECE - 1)
    redis.call('XADD', said, 'MAXLEN', '~', ENTRIES, '*', 'at', string.format('%.0f', written), 'output', piece,
      'attempt', attempt)
    written = written + #piece
  end
  cut(said, written)
  return written
end

local function tell_progress(said, attempt, progress)
  local last = redis.call('XREVRANGE', said, '+', '-', 'COUNT', 1)
  redis.call('XADD', said, 'MAXLEN', '~', ENTRIES, '*', 'progress', progress, 'attempt', attempt)
  if fields_of(last)[1] == 'progress' then
    redis.call('XDEL', said, last[1][1])
  end
end

local function take(id, token, number, progress, left_out, output)
  local record, said = RECORD .. id, SAID .. id
  local r = redis.call('HMGET', record, 'said', 'written', 'attempt', 'started')
  local of, latest = string.match(r[1] or '', '^(%S+) (%d+)$')
  if of == token and tonumber(number) <= tonumber(latest) then
    return 'again'
  end
  local written, attempt = tonumber(r[2] or 0) + left_out, r[3] or 1
  if #output > 0 and MOST > 0 then
    written = write(said, written, attempt, output)
  else
    written = written + #output
  end
  local fields = {'said', token .. ' ' .. number, 'written', string.format('%.0f', written)}
  if progress ~= '' then
    tell_progress(said, attempt, progress)
    fields[5], fields[6], fields[7], fields[8] = 'progress', progress, 'progress_of', r[4] or ''
  end
  redis.call('HSET', record, unpack(fields))
  redis.call('PUBLISH', CHANNEL, id)
  if progress ~= '' and string.find(token, '^[^@]*w') then
    tell(id, 'progress', (clock()), nil, redis.call('MGET', PAYLOAD .. id)[1])
  end
  return 'ok'
end

local replies = {}
for at = 3, #ARGV, EACH do
  local id, token = ARGV[at], ARGV[at + 1]
  local held = redis.call('HGET', HELD, id)
  local owned = held and string.match(held, '^%S+') == token
  local word = 'stale'
  if owned then
    local whole, said = pcall(take, id, token, unpack(ARGV, at + 2, at + EACH - 1))
    word = whole and said or word  -- else something else is where the job's words belong: the others' are kept
  end
  replies[#replies + 1] = word
end
return replies
