-- Frees the lock if this owner has it. For owners whose every acquire was answered.
-- One key, so that it works in the middle of a slot migration.
--
-- KEYS[1] lock
-- ARGV[1] owner id
-- Returns 1 freed | 0 not this owner's
local mine = ARGV[1] .. ':'
if string.sub(redis.call('GET', KEYS[1]) or '', 1, #mine) ~= mine then
  return 0
end
return redis.call('DEL', KEYS[1])
