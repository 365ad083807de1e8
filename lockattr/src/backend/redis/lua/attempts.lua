-- Executes attempts one after the other, as if each were a separate script: a failure of one does
-- not affect the others. One call for all attempts of a process that are due, because the call
-- itself costs more than an attempt.
--
-- ARGV[1] the number of the call, which comes back with the answer
-- ARGV[2] the channel of this connection's waiters, and what the name of every channel begins with
-- and then groups of attempts: the code, how many there are, what they have in common, and what each
-- has for itself, beside its names in KEYS:
--   a  acquire   ttl, tokens, "claim ttl, life of the queue", ":since:who"; owner
--                no life if it wants no place in the queue
--                KEYS lock, fence, queue, tombstone
--   n  renew     ttl; owner
--                KEYS lock
--   f  the same, with tokens from a least one on
--                ttl, tokens, "claim ttl, life of the queue", ":since:who", least token; owner
--                KEYS lock, fence, queue, tombstone
--   t  reserve   tokens, least token; owner
--                KEYS lock
--   r  release   owner
--                KEYS lock
--   x  the same, for an owner that leaves the queue, whose acquire may still be on its way, or that keeps
--      others out for a while
--                owner, entry of the queue or '', life of the tombstone or '', time to keep others out or ''
--                KEYS lock
-- The same for an owner that may have the lock beside others (shared.lua):
--   s  acquire   ttl, "claim ttl, life of the queue", ":since:who", mode, weight; owner
--                KEYS lock, fence, queue, tombstone
--   u  renew     ttl; owner
--                KEYS lock
--   v  release   as x
-- What has a lease declares its lock alone: while a slot of a cluster moves, its names are on two nodes,
-- and a call that declares several of them is refused until all have moved.
-- An owner is written as the value of its lock begins: "1:owner:". Times are in milliseconds.
-- Returns <number>, or <number>:<the server's time in microseconds> if it was read; then for each
--   <token>                                granted with all tokens asked for; no owner waits
--   g<token>:<tokens>:<1 if others wait>   granted, or reserved
--   k<1 if others wait>                    renewed
--   h<ms left>:<who>                       held by another; this owner has its place in the queue, if it
--                                          wants one
--   m<mode>                                others have it in a mode that does not go with this one
--   t                                      this owner has a tombstone
--   n                                      not this owner's
--   d                                      the owner does not have it now
--   e<error>
-- The short ways of acquire.lua and release.lua return "<number>:<token>" and "<number>".
--
-- Written for speed when no owner waits: every call of a command costs, and every new function.

local find = string.find
local replies, r, long_way, tells_time = { 0 }, 1, nil, not args[3]
local k, a, code = 1, 3, args[3]
while code do
  local n = args[a + 1]
  if code == 'a' or code == 'f' then
    local ttl, tokens, waiting, rest = args[a + 2], args[a + 3], args[a + 4], args[a + 5]
    if not now then
      read_clock()
    end
    local from, text, least = now, stamp, nil
    a = a + 6
    if code == 'f' then
      least, tells_time = args[a], true
      if tonumber(least) > now then
        from, text = tonumber(least), least
      end
      a = a + 1
    end
    local last = format('%.0f', from + tokens - 1)
    for a = a, a + n - 1 do
      local owner, lock, reply = args[a], keys[k], nil
      if try('EXISTS', lock, keys[k + 2], keys[k + 3]) == 0 then
        local fence = keys[k + 1]
        local token, got = text, nil
        if not taken then
          found = try('SET', fence, last, 'KEEPTTL', 'GET')
        end
        taken = nil
        -- Usually the counter is behind the clock, and has as many digits.
        if found and (found.err or #found ~= 16 or found >= text or find(found, '%D')) then
          token, got = reserve_past(fence, found, from, text)
        end
        if not token then
          reply = 'e' .. got
        else
          -- The lock in one SET: with a separate PEXPIRE, a bad ttl would leave a lock for ever.
          local set = try('SET', lock, owner .. token .. rest, 'PX', ttl)
          reply = set.err and 'e' .. set.err or got and 'g' .. token .. ':' .. got .. ':0' or token
        end
      else
        long_way = long_way or contended()
        reply = long_way('a', k, owner, ttl, tokens, waiting, rest, least)
      end
      r = r + 1
      replies[r] = reply
      k = k + 4
    end
  elseif code == 'r' then
    a = a + 2
    for a = a, a + n - 1 do
      local owner, value, reply = args[a], try('GET', keys[k]), 'd'
      if value then
        if value.err or sub(value, 1, #owner) ~= owner or try('DEL', keys[k]) ~= 1 then
          long_way = long_way or contended()
          reply = long_way(code, k, owner)
        end
      end
      r = r + 1
      replies[r] = reply
      k = k + 1
    end
  elseif code == 'n' then
    local ttl = args[a + 2]
    local least = tonumber(ttl)
    a = a + 3
    for a = a, a + n - 1 do
      local owner, reply, value = args[a], nil, try('GET', keys[k])
      if type(value) == 'string' and sub(value, 1, #owner) == owner then
        local left = try('PTTL', keys[k])
        -- Also if it has longer: what is answered with success has written, since a confirmation covers
        -- what a connection has written.
        if type(left) == 'number' then
          left = try('PEXPIRE', keys[k], left < least and ttl or left)
        end
        reply = type(left) == 'number' and 'k0' or 'e' .. left.err
      else
        long_way = long_way or contended()
        reply = long_way(code, k, owner, ttl)
      end
      r = r + 1
      replies[r] = reply
      k = k + 1
    end
  elseif code == 't' then
    local tokens, least = args[a + 2], args[a + 3]
    long_way = long_way or contended()
    a = a + 4
    for a = a, a + n - 1 do
      r = r + 1
      replies[r] = long_way(code, k, args[a], tokens, least)
      k = k + 1
    end
  elseif code == 's' then
    local ttl, waiting, rest, mode, weight = args[a + 2], args[a + 3], args[a + 4], args[a + 5], args[a + 6]
    long_way = long_way or contended()
    a = a + 7
    for a = a, a + n - 1 do
      r = r + 1
      replies[r] = long_way('a', k, args[a], ttl, 1, waiting, rest, nil, mode, weight)
      k = k + 4
    end
  elseif code == 'u' then
    long_way = long_way or contended()
    a = a + 3
    for place = a, a + n - 1 do
      r = r + 1
      replies[r] = long_way('n', k, args[place], args[a - 1], true)
      k = k + 1
    end
  else
    local is_share = code == 'v'
    long_way = long_way or contended()
    a = a + 2
    for a = a, a + 4 * (n - 1), 4 do
      r = r + 1
      replies[r] = long_way('r', k, args[a], args[a + 1], args[a + 2], args[a + 3], is_share)
      k = k + 1
    end
    a = a + 3 * n
  end
  a = a + n
  code = args[a]
end
if not args[3] then
  read_clock()
end
replies[1] = (long_way or tells_time) and args[1] .. ':' .. stamp or args[1]
return replies
