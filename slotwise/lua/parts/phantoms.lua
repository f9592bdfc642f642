-- phantoms: members of the sets of slots that are nobody's slot. Whoever is no job that runs by its record, and is held by no
-- live worker, was put there by none of ours, and would take a slot for ever. Each call looks at a few. A job that runs by
-- its record keeps its slot, whoever holds it: somebody may still run it.
--
-- Needs LEASES, HELD_OF, RUNNING, RUNNING_OF, RECORD.
local PHANTOMS_AT_A_TIME = 50

local function is_held(id)
  for _, incarnation in ipairs(redis.call('HKEYS', LEASES)) do
    if redis.pcall('HEXISTS', HELD_OF .. incarnation, id) ~= 0 then  -- an error counts as held
      return true
    end
  end
  return false
end

local function drop_phantoms(key, is_phantom)
  for _, id in ipairs(redis.call('ZRANDMEMBER', key, PHANTOMS_AT_A_TIME)) do
    if is_phantom(id) then
      redis.call('ZREM', key, id)
    end
  end
end

local function is_nobodys(id)
  local state = redis.pcall('HGET', RECORD .. id, 'state')
  return state ~= 'running' and not is_held(id)
end

-- Of an algorithm that takes room: every slot of it is one of the fleet's.
local function is_no_slot(id)
  return not redis.call('ZSCORE', RUNNING, id)
end
