-- In front of a call for one release: the short way, for a lock that no owner waits for. Everything
-- else continues in the rest of the script. The variables are as acquire.lua leaves them to the
-- rest: nothing was read, and nothing taken.
local clock, found, taken
local value, owner = redis.pcall('GET', KEYS[1]), ARGV[5]
if value and not value.err and string.sub(value, 1, #owner) == owner then
  if redis.pcall('DEL', KEYS[1]) == 1 then
    return ARGV[1]
  end
end

