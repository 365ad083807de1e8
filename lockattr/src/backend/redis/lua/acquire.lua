-- In front of a call for one acquire: the short way, where nobody holds the lock or waits for it, and
-- the fence is behind the clock. All else goes on with the rest of the script, which is left the clock
-- that was read, what stood at the fence, and whether that was taken from there.
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

