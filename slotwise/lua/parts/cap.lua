-- cap: which cap is in force at an instant: a pure function of the time. An override that is over counts no more,
-- whoever has or has not cleared it away.

-- The number in force of a cap with an override that ends at `ends` (false: never), and when that is, if one stands.
local function standing(otherwise, override, ends, now)
  if override and (not ends or tonumber(ends) > now) then
    return tonumber(override), ends and tonumber(ends) or nil
  end
  return otherwise and tonumber(otherwise) or nil, nil
end

-- The fleet's, and the ms until its override ends (nil without one that ends).
local CAP_OF_NOBODY = 10  -- where none was ever configured
local function cap_in_force(key, now)
  local c = redis.call('HMGET', key, 'configured', 'override', 'until')
  local cap, ends = standing(c[1] or CAP_OF_NOBODY, c[2], c[3], now)
  if not (cap and cap >= 0 and cap < math.huge) then  -- better none starts than nobody knows how many
    error('the cap in ' .. key .. ' is no number')
  end
  return cap, ends and ends - now
end
