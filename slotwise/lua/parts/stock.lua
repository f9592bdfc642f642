-- stock: the algorithm of a job: as its record says, or as the payload of a stock client does. nil for one that we
-- cannot read: a pickle, or a name with escapes.
local STOCK_CALL = '^{"t":[^,]*,"f":"([^"\\]+)"'  -- as arq orders the keys

local function algorithm_of(recorded, payload)
  return recorded or payload and string.match(string.sub(payload, 1, 300), STOCK_CALL) or nil
end
