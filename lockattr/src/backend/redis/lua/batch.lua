-- Executes attempts one after the other, as if each were a script of its own: what fails for one
-- does not touch the others. One call for all attempts of a process that are due, because the call
-- itself costs more than an attempt does.
--
-- Names of an attempt, in KEYS:
--   lock       string "owner:token:since:who", always with a ttl
--   fence      last fencing token of the bucket
--   queue      list "owner:claim ttl:tokens:channel:who", first come first
--   tombstone  of this owner
-- ARGV[1] what every channel's name begins with; then for each attempt its code and
--   a  acquire  owner, entry of the queue, ttl, tokens, life of the queue, who
--   n  renew    owner, ttl, tokens
--   r  release  owner, entry of the queue or '', life of the tombstone or 0
-- Times are in milliseconds. Returns the server's time in microseconds, and for each attempt
--   g<token>:<tokens>:<1 if others wait>   granted, or renewed
--   h<ms left>                             held by another; this owner has its place in the queue
--   t                                      this owner has a tombstone
--   n                                      not this owner's
--   d                                      the owner has it no more
--   e<error>
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local since = string.format('%.0f', math.floor(now / 1000))
local nextkey, nextarg = 1, 2

local function key()
  nextkey = nextkey + 1
  return KEYS[nextkey - 1]
end

local function arg()
  nextarg = nextarg + 1
  return ARGV[nextarg - 1]
end

local function belongs(value, owner)
  return value and string.sub(value, 1, #owner + 1) == owner .. ':'
end

-- Reserves tokens; gives the first one and how many. They grow while either the counter survives
-- or the clock does not run back. A counter that is ahead of the clock gets on by one only, so that
-- it never is by more than one reservation, and what a lost counter could repeat is long over.
-- Printed by format: Lua's own conversion gives 1.764e+15.
local function reserve(fence, count)
  local first = tonumber(redis.call('GET', fence) or '0') + 1
  if first > now then
    count = 1
  else
    first = now
  end
  redis.call('SET', fence, string.format('%.0f', first + count - 1))
  return string.format('%.0f', first), count
end

-- The fence first: whatever fails, no lock stands whose token could be given out again. The lock in
-- one SET: with a PEXPIRE of its own, a bad ttl would leave a lock for ever.
local function grant(lock, fence, owner, ttl, tokens, who)
  local token, count = reserve(fence, tokens)
  redis.call('SET', lock, owner .. ':' .. token .. ':' .. since .. ':' .. who, 'PX', ttl)
  return token, count
end

local function others(queue)
  return redis.call('EXISTS', queue)
end

-- Makes the first waiter the owner whose process is there, and tells it. `mine` is granted without
-- being told. The lock before the message: nobody must believe in a lease that is not there.
local function hand_over(lock, fence, queue, mine)
  while true do
    local entry = redis.call('LPOP', queue)
    if not entry then
      return nil
    end
    if entry == mine then
      return mine
    end
    local owner, claim, tokens, channel, who =
      string.match(entry, '^([^:]*):(%d+):(%d+):([^:]*):(.*)$')
    local token, count = grant(lock, fence, owner, claim, tonumber(tokens), who)
    local message = owner .. ':' .. token .. ':' .. count .. ':' .. others(queue) .. ':' .. claim
      .. ':' .. string.format('%.0f', now)
    if redis.call('PUBLISH', ARGV[1] .. channel, message) > 0 then
      return entry
    end
  end
end

local function acquire(lock, fence, queue, tombstone, owner, entry, ttl, tokens, life, who)
  -- By GET: MGET would take a value of another type for none.
  local value, contended = redis.call('GET', lock), 0
  if belongs(value, owner) then
    if redis.call('PTTL', lock) < tonumber(ttl) then
      redis.call('PEXPIRE', lock, ttl)
    end
    return 'g' .. string.match(value, '^%d+', #owner + 2) .. ':1:' .. others(queue)
  end
  if value or redis.call('EXISTS', tombstone, queue) > 0 then
    if redis.call('EXISTS', tombstone) == 1 then
      return 't'
    end
    local taken = value
    if not taken then
      taken = hand_over(lock, fence, queue, entry)
      contended = others(queue)
    end
    if taken and taken ~= entry then
      if not redis.call('LPOS', queue, entry) then
        redis.call('RPUSH', queue, entry)
      end
      if redis.call('PTTL', queue) < tonumber(life) then
        redis.call('PEXPIRE', queue, life)
      end
      return 'h' .. redis.call('PTTL', lock)
    end
  end
  local token, count = grant(lock, fence, owner, ttl, tonumber(tokens), who)
  return 'g' .. token .. ':' .. count .. ':' .. contended
end

local function renew(lock, fence, queue, owner, ttl, tokens)
  if not belongs(redis.call('GET', lock), owner) then
    return 'n'
  end
  if redis.call('PTTL', lock) < tonumber(ttl) then
    redis.call('PEXPIRE', lock, ttl)
  end
  local token, count = '0', 0
  if tokens ~= '0' then
    token, count = reserve(fence, tonumber(tokens))
  end
  return 'g' .. token .. ':' .. count .. ':' .. others(queue)
end

local function release(lock, fence, queue, tombstone, owner, entry, life)
  if life ~= '0' then
    -- First, and by pcall: out of memory must not undo the release.
    redis.pcall('SET', tombstone, '1', 'PX', life)
  end
  if entry ~= '' then
    redis.call('LREM', queue, 0, entry)
  end
  if belongs(redis.call('GET', lock), owner) then
    local handed, to = pcall(hand_over, lock, fence, queue, nil)
    if not handed or not to then
      redis.call('DEL', lock)
    end
  end
  return 'd'
end

local replies = { string.format('%.0f', now) }
while nextarg <= #ARGV do
  local code = arg()
  local ok, reply
  if code == 'a' then
    ok, reply = pcall(acquire, key(), key(), key(), key(), arg(), arg(), arg(), arg(), arg(), arg())
  elseif code == 'n' then
    ok, reply = pcall(renew, key(), key(), key(), arg(), arg(), arg())
  else
    ok, reply = pcall(release, key(), key(), key(), key(), arg(), arg(), arg())
  end
  if not ok then
    reply = 'e' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
  replies[#replies + 1] = reply
end
return replies
