#!lua flags=allow-oom
-- configure: make the cap that a start was told the fleet's configured one.
--
-- KEYS  1 cap  2 limits  3 audit  4 log  5 meter  6 running  7.. queue, running, cap, moves
-- ARGV  1 the cap  2 'set', or 'restore': only where none is configured  3 who  4 now ms ('' = TIME)
-- returns  the configured cap
--
-- after: the same value again changed nothing; nor did a server's loss of all it knew, once it is restored. An
-- override that stands goes on standing.
local CAP, LIMITS, AUDIT, LOG, METER, RUNNING = unpack(KEYS)
local configured = redis.call('HGET', CAP, 'configured')
if configured == ARGV[1] or (configured and ARGV[2] == 'restore') then
  return tonumber(configured)
end
-- part: clock
-- part: cap
-- part: moves
-- part: log
-- part: meter
local now = clock(ARGV[4])
-- part: override
clear_expired()
redis.call('HSET', CAP, 'configured', ARGV[1])
write_audit(now, '', 'configured', configured and tonumber(configured), tonumber(ARGV[1]), ARGV[3], 'configured at start')
tell_cap(now)  -- beneath an override, too: the log says what its end brings back
return tonumber(ARGV[1])
