#!lua flags=allow-oom
-- publish: put algorithms into the catalogue; a full server must not keep a worker from coming to drain it.
--
-- KEYS  1 catalogue
-- ARGV  1.. name, entry, name, entry, …
-- returns  'ok'
--
-- after: each entry replaces the one of that name.
redis.call('HSET', KEYS[1], unpack(ARGV))
return 'ok'
