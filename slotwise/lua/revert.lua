#!lua flags=allow-oom
-- revert: clear away the overrides of caps whose time is over.
--
-- KEYS  1 cap  2 limits  3 audit  4 log  5 meter  6 running  7.. queue, running, cap, moves
-- ARGV  1 now ms ('' = TIME)
-- returns  number of overrides that it cleared
--
-- after: the audit says when each ended. No cap is another by it: an override that is over counts for nobody, seen or
-- not.
local CAP, LIMITS, AUDIT, LOG, METER, RUNNING = unpack(KEYS)
-- part: clock
-- part: cap
-- part: moves
-- part: log
-- part: meter
local now = clock(ARGV[1])
-- part: override
return clear_expired()
