#!lua flags=allow-oom
-- enlist: begin the lease of one start of a worker.
--
-- KEYS  1 leases  2 worker
-- ARGV  1 incarnation  2 lease's length in ms  3.. fields and values of the worker's row
-- returns  'ok'
--
-- after: observers watch "sequence length_ms"; the worker may claim. Neither key has a TTL: a clock decides no
-- ownership, only an observer that saw the sequence stand still for the whole length does.
redis.call('HSET', KEYS[1], ARGV[1], '0 ' .. ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 3))
return 'ok'
