-- override: the overrides of caps, and the audit of who changed which. The fleet's stands in the hash `cap`, an
-- algorithm's in `limits` under the same names, with its own behind a colon.
--
-- Needs CAP, LIMITS, AUDIT, LOG, METER, RUNNING, now, and the parts cap, log, meter, moves. `algorithm` is '' for the fleet.
local AUDIT_ENTRIES = 1000
local STANDING = {'override', 'until', 'reason', 'by', 'at'}

local function place_of(algorithm)
  if algorithm == '' then
    return CAP, ''
  end
  return LIMITS, ':' .. algorithm
end

-- {override, until, reason, by, at}, each false where there is none.
local function read_override(algorithm)
  local key, own = place_of(algorithm)
  local names = {}
  for i, name in ipairs(STANDING) do
    names[i] = name .. own
  end
  return redis.call('HMGET', key, unpack(names))
end

local function write_override(algorithm, fields)
  local key, own = place_of(algorithm)
  for i, name in ipairs(STANDING) do
    if fields and fields[i] ~= '' then
      redis.call('HSET', key, name .. own, fields[i])
    else
      redis.call('HDEL', key, name .. own)
    end
  end
end

-- The cap in force, without its override if `without`; nil for an algorithm that has none of its own.
local function in_force(algorithm, without)
  if algorithm == '' and not without then
    return (cap_in_force(CAP, now))
  elseif algorithm == '' then
    return tonumber(redis.call('HGET', CAP, 'configured') or CAP_OF_NOBODY)
  end
  local o = without and {} or read_override(algorithm)
  return (standing(redis.call('HGET', LIMITS, 'declared:' .. algorithm), o[1], o[2], now))
end

local function write_audit(at, algorithm, change, from, to, by, reason, ends)
  redis.call('LPUSH', AUDIT, cjson.encode({
    at = at, scope = algorithm == '' and 'fleet' or 'algorithm', algorithm = algorithm ~= '' and algorithm or cjson.null,
    change = change, from = from or cjson.null, to = to or cjson.null, by = by or cjson.null,
    reason = reason and reason ~= '' and reason or cjson.null, ['until'] = ends and tonumber(ends) or cjson.null}))
  redis.call('LTRIM', AUDIT, 0, AUDIT_ENTRIES - 1)
end

-- The fleet's cap, or what it will revert to, is another since `at`.
local function tell_cap(at)
  local cap = cap_in_force(CAP, now)
  write_log(now, 'cap', {}, cap)
  measure(at, cap)
  moves.write_slots(now)
end

-- Overrides that are over, the earliest first: {ends, algorithm}.
local function expired()
  local found, ends = {}, redis.call('HGET', CAP, 'until')
  if ends and tonumber(ends) <= now then
    found[1] = {tonumber(ends), ''}
  end
  local limits = redis.call('HGETALL', LIMITS)
  for i = 1, #limits, 2 do
    local algorithm = string.match(limits[i], '^until:(.*)$')
    if algorithm and tonumber(limits[i + 1]) <= now then
      found[#found + 1] = {tonumber(limits[i + 1]), algorithm}
    end
  end
  table.sort(found, function(a, b)
    return a[1] < b[1]
  end)
  return found
end

-- Clear what is over, each with an entry of the time when it ended; how many. A move that writes the audit calls this
-- first, so that the audit is in the order in which things happened.
local function clear_expired()
  local found = expired()
  for _, row in ipairs(found) do
    local ends, algorithm = row[1], row[2]
    local o = read_override(algorithm)
    write_override(algorithm, nil)
    write_audit(ends, algorithm, 'expired', tonumber(o[1]), in_force(algorithm), o[4], o[3], ends)
    if algorithm == '' then
      tell_cap(ends)
    end
  end
  return #found
end
