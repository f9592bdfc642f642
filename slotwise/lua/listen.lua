#!lua flags=allow-oom
-- listen: begin to listen to the whole fleet: its slots, and the place in the stream of its moves, of one instant.
--
-- KEYS  1.. queue, running, cap, moves
-- ARGV  1 ms that the stream is kept when nobody listens any more  2 now ms ('' = TIME)
-- returns  {id of the stream's last entry, now, 'cap running pending'}
--
-- after: from here on each move is written into the stream, bounded, until its time is over; every listener puts that off.
-- part: clock
-- part: cap
-- part: moves
local now = clock(ARGV[2])
if not moves.heard() then
  redis.call('XADD', moves.stream, '*', 'at', now)
end
redis.call('PEXPIRE', moves.stream, ARGV[1])
return {redis.call('XREVRANGE', moves.stream, '+', '-', 'COUNT', 1)[1][1], now, moves.count(now)}
