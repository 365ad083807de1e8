-- Who waits for a lock. Nothing is written.
--
-- KEYS[1] the lock
-- ARGV[1] how many places to return
-- Returns how many wait; then the first places, as they are stored (contended.lua).

local bucket = string.match(KEYS[1], '^[^}]*}')
local queue = bucket .. '#queue:' .. string.sub(KEYS[1], #bucket + 2)
local found = { redis.pcall('LLEN', queue) }
local failed = type(found[1]) == 'table' and found[1]
if failed and string.find(failed.err, 'WRONGTYPE') then
  return { 0 }
end
if not failed and tonumber(ARGV[1]) > 0 then
  local places = redis.pcall('LRANGE', queue, 0, ARGV[1] - 1)
  failed = places.err and places
  for i, place in ipairs(places) do
    found[i + 1] = place
  end
end
return failed or found
