-- How a lock is stored. Nothing is written.
--
-- Returns nothing if there is no lock; otherwise the server's time in milliseconds, the lock's milliseconds
-- left (-1 if it does not end), and how many wait; then the lock's value, or the names and values of its hash
-- (shared.lua), or neither if it is something else.

local function inspect(lock)
  local left = redis.call('PTTL', lock)
  if left == -2 then
    return {}
  end
  local function read(...)
    local value = redis.pcall(...)
    if type(value) == 'table' and value.err then
      -- While a slot of a cluster moves, the queue may be on another node.
      return nil, not string.find(value.err, 'WRONGTYPE') and not string.find(value.err, 'non local key') and value
    end
    return value
  end
  local bucket = string.match(lock, '^[^}]*}')
  local waiters, failed = read('LLEN', bucket .. '#queue:' .. string.sub(lock, #bucket + 2))
  if failed then
    return failed
  end
  local time = redis.call('TIME')
  local found = { string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), left, waiters or 0 }
  local value, failed = read('GET', lock)
  if value then
    found[4] = value
    return found
  end
  local fields, also_failed = read('HGETALL', lock)
  for i, text in ipairs(fields or {}) do
    found[3 + i] = text
  end
  return failed or also_failed or found
end
