#!lua flags=allow-oom
-- configure: make the cap that a start was told the fleet's configured one.
--
-- KEYS  1 cap  2 audit
-- ARGV  1 the cap  2 'set', or 'restore': only where none is configured  3 who  4 now ms ('' = TIME)
-- returns  the configured cap now in force
--
-- after: the same value again changed nothing; nor did a server's loss of all it knew, once it is restored.
local AUDIT_ENTRIES = 1000
local configured = redis.call('HGET', KEYS[1], 'configured')
if configured == ARGV[1] or (configured and ARGV[2] == 'restore') then
  return tonumber(configured)
end
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('HSET', KEYS[1], 'configured', ARGV[1])
redis.call('LPUSH', KEYS[2], cjson.encode({
  at = now, by = ARGV[3], scope = 'fleet', from = configured and tonumber(configured) or cjson.null,
  to = tonumber(ARGV[1]), reason = 'configured at start'}))
redis.call('LTRIM', KEYS[2], 0, AUDIT_ENTRIES - 1)
return tonumber(ARGV[1])
