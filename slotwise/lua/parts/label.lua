-- label: the name under which an algorithm is counted: its own while somebody serves it or has published it, else ''.
-- Who makes up names makes no more of them here.
--
-- Needs SERVED, CATALOGUE.
local labels = {}

local function label(algorithm)
  if not algorithm or algorithm == '' then
    return ''
  end
  if not labels[algorithm] then
    local known = redis.call('HEXISTS', SERVED, algorithm) == 1 or redis.call('HEXISTS', CATALOGUE, algorithm) == 1
    labels[algorithm] = known and algorithm or ''
  end
  return labels[algorithm]
end
