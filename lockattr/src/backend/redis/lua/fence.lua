-- The clock and the fencing tokens. It stands in front of shared.lua, contended.lua and attempts.lua, in
-- one script.

local keys, args, call, try = KEYS, ARGV, redis.call, redis.pcall
local format, sub = string.format, string.sub
-- The server's time in microseconds, once it has been read: as a number and as text.
local now, stamp

local function read_clock()
  clock = clock or call('TIME')
  now = clock[1] * 1000000 + clock[2]
  stamp = format('%.0f', now)
end

-- Reserves tokens if the counter is not simply behind the clock. Returns the first token and how
-- many, or nil and an error. `found` is the counter's value, which the clock has already
-- overwritten. A counter that is ahead of the clock grows by one only, so that it never is ahead by
-- more than one reservation, and leases with tokens that a lost counter could repeat are long over.
-- A foreign value is written back, since one call for both costs less than a look first; KEEPTTL,
-- because it may have a ttl. `now` and `stamp` are the clock's, or the least token that may be reserved.
local function reserve_past(fence, found, now, stamp)
  local failed = found.err
  if failed and not string.find(failed, 'WRONGTYPE') then
    return nil, failed
  end
  local last = not failed and tonumber(found)
  if failed or #found > 16 or string.find(found, '%D') or found == '' or last >= 2 ^ 53 then
    if not failed then
      try('SET', fence, found, 'KEEPTTL')
    end
    return nil, 'ERR a foreign value stands at #fence, where the last fencing token should; delete it, '
      .. 'or use another prefix'
  end
  if last < now then
    return stamp, nil
  end
  local first = format('%.0f', last + 1)
  local set = try('SET', fence, first)
  if set.err then
    return nil, set.err
  end
  return first, 1
end

