-- cap: the fleet's cap in force at `now`, and the ms until its override ends (nil without one that ends).
-- An override that is over counts no more, whoever has or has not cleared it away.
local function cap_in_force(key, now)
  local c = redis.call('HMGET', key, 'configured', 'override', 'until')
  if c[2] and (not c[3] or tonumber(c[3]) > now) then
    return tonumber(c[2]), c[3] and c[3] - now or nil
  end
  return tonumber(c[1] or 10), nil
end
