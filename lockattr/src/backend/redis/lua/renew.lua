-- Lets the lease end later, if this owner still has it. Never takes a key that is free, and never
-- lets the lease end sooner. One key, so that it works in the middle of a slot migration.
--
-- KEYS[1] lock
-- ARGV[1] owner id
-- ARGV[2] ttl        milliseconds
-- Returns 1 renewed | 0 not this owner's
local mine = ARGV[1] .. ':'
if string.sub(redis.call('GET', KEYS[1]) or '', 1, #mine) ~= mine then
  return 0
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
