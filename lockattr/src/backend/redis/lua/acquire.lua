-- Takes the lock if it is free, or says again that this owner has it.
--
-- KEYS[1] lock       string "owner:token:since:who", always with a ttl
-- KEYS[2] fence      last fencing token of the bucket
-- KEYS[3] tombstone  of this owner
-- ARGV[1] owner id   without ':'
-- ARGV[2] ttl        milliseconds
-- ARGV[3] who        for people
-- Returns {1, token} granted | {0, ms left} held by another | {-1, ''} this owner has given up
local value = redis.call('GET', KEYS[1])
if value then
  local mine = ARGV[1] .. ':'
  if string.sub(value, 1, #mine) ~= mine then
    return {0, tostring(redis.call('PTTL', KEYS[1]))}
  end
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  return {1, string.match(value, '^%d+', #mine + 1)}
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  return {-1, ''}
end
-- Grows while either the counter survives or the clock does not run back. Printed by format:
-- Lua's own conversion gives 1.764e+15.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local token = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now)
token = string.format('%.0f', token)
-- The fence first: whatever fails, no lock stands whose token could be given out again. The lock
-- in one SET: with a PEXPIRE of its own, a bad ttl would leave a lock for ever.
redis.call('SET', KEYS[2], token)
local since = string.format('%.0f', math.floor(now / 1000))
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. token .. ':' .. since .. ':' .. ARGV[3], 'PX', ARGV[2])
return {1, token}
