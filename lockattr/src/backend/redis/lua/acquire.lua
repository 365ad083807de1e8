-- In front of a call for one acquire: the short way, for a lock that is free and that no owner
-- waits for, while the fence is behind the clock. Everything else continues in the rest of the
-- script, with the time that was read, the fence's previous value, and whether the fence was
-- already set.
local keys, args, try = KEYS, ARGV, redis.pcall
local clock, found, taken
if try('EXISTS', keys[1], keys[3], keys[4]) == 0 then
  clock = redis.call('TIME')
  local seconds, micros = clock[1], clock[2]
  local last = string.format('%.0f', seconds * 1000000 + micros + args[6] - 1)
  local token = seconds .. (#micros == 6 and micros or string.sub('00000' .. micros, -6))
  found, taken = try('SET', keys[2], last, 'KEEPTTL', 'GET'), true
  if not found or not found.err and #found == 16 and found < token and not string.find(found, '%D') then
    if try('SET', keys[1], args[9] .. token .. args[8], 'PX', args[5]).ok then
      return args[1] .. ':' .. token
    end
  end
end

