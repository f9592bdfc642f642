-- stock: the algorithm of a job: as its record says, or as the payload of a stock client does. nil for one that we
-- cannot read: a pickle, or a name with escapes. And when it was made, by its client's clock.
local MADE_BEFORE = 9000000000000000
local STOCK_CALL = '^{"t":[^,]*,"f":"([^"\\]+)"'  -- as arq orders the keys

local function algorithm_of(recorded, payload)
  return recorded or payload and string.match(string.sub(payload, 1, 300), STOCK_CALL) or nil
end

local function created_of(recorded, payload, otherwise)
  local told = recorded or payload and string.match(string.sub(payload, -40), '"et":(%d+)}$')
  local created = tonumber(told or nil)
  return created and created < MADE_BEFORE and created or math.floor(otherwise)
end
