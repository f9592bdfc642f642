-- muster: how many slots the live workers have, those that are drained left out; '' where one follows the cap.
--
-- Needs LEASES, ROW.
local function slots_of_workers()
  local slots = 0
  for _, incarnation in ipairs(redis.call('HKEYS', LEASES)) do
    local row = redis.call('HMGET', ROW .. incarnation, 'slots', 'drained')
    if not row[2] and not tonumber(row[1] or nil) then
      return ''
    elseif not row[2] then
      slots = slots + row[1]
    end
  end
  return slots
end
