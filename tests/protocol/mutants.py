"""One-line faults, each put into a script on purpose: the machine has to find every one of them."""

from __future__ import annotations

from typing import Final

# what is broken: script, the line, what stands there instead
MUTANTS: Final[dict[str, tuple[str, str, str]]] = {
    "finish is not fenced": ("finish", "if owner[id] == token then", "if owner[id] then"),
    "a finish sent again is called stale": ("finish", "'again' or 'stale'", "'stale' or 'stale'"),
    "a finished job keeps its place in the queue": ("finish", "redis.call('ZREM', QUEUE, unpack(ended))", ""),
    "a finish leaves the algorithm's slot taken": (
        "finish",
        "redis.call('ZREM', RUNNING_OF .. algorithm, unpack(of_it))",
        "",
    ),
    "a released job is due now, not in its old place": (
        "finish",
        "redis.call('HGET', record, 'score') or now, id",
        "now, id",
    ),
    "a release burns the attempt": ("finish", "redis.call('HINCRBY', record, 'attempt', -1)", ""),
    "a cancelled job's retry waits its delay": (
        "finish",
        "redis.call('HEXISTS', record, 'cancel_requested') == 1 and now or now + delay",
        "now + delay",
    ),
    "the record of a finished job is kept for ever": (
        "finish",
        "redis.call('PEXPIRE', RECORD .. id, math.max(LEAST_RECORD_TTL, tonumber(keep)))",
        "",
    ),
    "one more than the cap": ("claim", "local spare = cap - ", "local spare = 1 + cap - "),
    "one more than the algorithm's cap": ("claim", "left = most - redis", "left = 1 + most - redis"),
    "an exchange sent again grants anew": ("claim", "elseif tonumber(number) == latest then", "elseif false then"),
    "an older exchange grants": ("claim", "if tonumber(number) < latest then", "if false then"),
    "a claimed job stays in sight": (
        "claim",
        "  place(id, HIDDEN)\n  start(id, token, algorithm)",
        "  start(id, token, algorithm)",
    ),
    "a job is due a second early": (
        "claim",
        "'ZRANGEBYSCORE', QUEUE, '-inf', exact, 'WITHSCORES', 'LIMIT'",
        "'ZRANGEBYSCORE', QUEUE, '-inf', exact + 1000, 'WITHSCORES', 'LIMIT'",
    ),
    "an ended override still counts": ("claim", "tonumber(ends) > now) then", "tonumber(ends) > 0) then"),
    "a drained worker claims": ("claim", "drained and 0 or math.min", "math.min"),
    "a job goes to a worker that does not serve it": (
        "claim",
        "rooms[algorithm] = others and 0 or ",
        "rooms[algorithm] = ",
    ),
    "a rate forgets its starts": ("claim", "redis.call('ZADD', STARTS_OF .. algorithm, wall, token)", ""),
    "nobody is told when a rate opens": ("claim", "opens(first + rate.window)", ""),
    "a head start is never given": (
        "claim",
        "redis.call('ZADD', QUEUE, score, id)\n    redis.call('HSET'",
        "redis.call('HSET'",
    ),
    "who has its share takes more": (
        "claim",
        "free, left_to_others = share, share < free",
        "left_to_others = share < free",
    ),
    "hunger is never forgotten": ("claim", "redis.call('ZREMRANGEBYSCORE', HUNGRY, '-inf', now)", ""),
    "a suspect runs beside others": (
        "claim",
        "if alone and redis.call('HEXISTS', HELD, alone) == 1 then",
        "if false then",
    ),
    "a job that came to the front stays parked": ("claim", "    leave_parking(id, algorithm)", ""),
    "an old cancel stops a new job": ("claim", "tonumber(asked_at) < tonumber(enqueued)", "false"),
    "a stock job's payload may expire while it runs": ("claim", "redis.call('PERSIST', PAYLOAD .. id)", ""),
    "a job that is parked loses its place": (
        "claim",
        "park(id, algorithm, r.score or score)",
        "park(id, algorithm, now)",
    ),
    "a reap leaves the slot taken": ("reap", "redis.call('ZREM', RUNNING, id)", ""),
    "a reap of a lease that moved": ("reap", "return {'moved'}", "died = true"),
    "a worker that leaves is a death": ("reap", "local died = ARGV[2] ~= ''", "local died = true"),
    "a dead worker serves on": ("reap", "redis.call('HDEL', SERVED, name)", ""),
    "a renewal that lists a job once releases it": ("renew", "if missed_before[token] then", "if true then"),
    "a renewal never releases": ("renew", "if missed_before[token] then", "if false then"),
    "a renewal does not move the lease": ("renew", "sequence + 1, length", "sequence, length"),
    "cancel leaves the job parked": ("cancel", "redis.call('ZREM', PARKED_OF .. set, id)", ""),
    "cancel ends a running job": ("cancel", "if redis.call('ZSCORE', RUNNING, id) then", "if false then"),
    "cancel leaves the payload": ("cancel", "redis.call('DEL', PAYLOAD .. id, RETRY .. id)", ""),
    "a job that started may expire": ("claim", "redis.call('ZREM', UNSTARTED, id)", ""),
    "a job expires whatever its state": ("expire", "if r[1] == 'pending' and r[2]", "if r[2]"),
    "a worker is kept for a job that ended": (
        "claim",
        "while not (reserved and waits_to_run_alone(reserved)) do",
        "while not reserved do",
    ),
    "a clock set back hides due jobs": ("claim", "if exact <= seen then", "if false then"),
    "an algorithm's override outlives its end": (
        "revert",
        "if algorithm and tonumber(limits[i + 1]) <= now then",
        "if false then",
    ),
    "a new cap is not in the log": ("resize", "write_log(now, 'cap', {}, cap)", ""),
    "a cap for an algorithm that nobody knows": ("resize", "return 'unknown'", ""),
    "a rate that is withdrawn stays": ("publish", "redis.call('HDEL', LIMITS, field)", ""),
    "a drained process takes jobs in its next incarnation": (
        "enlist",
        "redis.call('HSET', WORKER, 'drained', since)",
        "",
    ),
    "a drained worker keeps the job that was to run alone": ("drain", "redis.call('HDEL', row, 'reserved')", ""),
    "erase takes a waiting job": (
        "erase",
        "if redis.call('ZSCORE', QUEUE, id) or redis.call('ZSCORE', RUNNING, id) then",
        "if false then",
    ),
    "retry takes a job that others have moved": ("retry", "redis.call('GET', RESULT .. id) ~= envelope", "false"),
    "retry keeps the deaths": ("retry", "'done', 'deaths', 'worker'", "'done', 'worker'"),
    "retry twice is two": ("retry", "if known[1] == token then", "if false then"),
    "a full queue takes one more": (
        "submit",
        "waiting + #fresh > tonumber(ARGV[2])",
        "waiting + #fresh > 1 + tonumber(ARGV[2])",
    ),
    "a submit sent again puts its job back": ("submit", "if not known[1] then", "if true then"),
    "a scheduled job has its head start at once": (
        "submit",
        "local score = later and due or exact",
        "local score = later and due - head_start or exact",
    ),
    "a batch is queued in reverse": ("submit", "(#fresh - i) / 1000", "(i - 1) / 1000"),
    "a restore overrides": ("configure", "(configured and ARGV[2] == 'restore')", "false"),
    "enlisting twice serves twice": (
        "enlist",
        "if redis.call('SADD', SERVES, ARGV[i]) == 1 then",
        "redis.call('SADD', SERVES, ARGV[i])\n  do",
    ),
    "the log says nothing of a finish": ("finish", "write_log(now, 'finish', released, cap)", ""),
}
