-- Takes a lock away from all that have it. It stands behind inspect.lua and what attempts.lua stands behind.
--
-- KEYS[1] the lock
-- ARGV[2] as of attempts.lua
-- Returns what inspect.lua found before.

local before = inspect(keys[1])
if before[1] then
  local reply = contended()('o', 1)
  if sub(reply, 1, 1) == 'e' then
    return { err = sub(reply, 2) }
  end
end
return before
