#!lua flags=no-writes
-- slots: the cap in force and the number of running jobs, of one instant.
--
-- KEYS  1 cap  2 running
-- ARGV  1 now ms ('' = TIME)
-- returns  {cap, running}
--
-- after: as before.
-- part: clock
-- part: cap
return {(cap_in_force(KEYS[1], clock(ARGV[1]))), redis.call('ZCARD', KEYS[2])}
