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
-- and at the end the number of the call, which comes back with the answer.
-- Times are in milliseconds. Returns the server's time in microseconds and the number of the call as
-- <time>:<number>, and for each attempt
--   g<token>:<tokens>:<1 if others wait>   granted, or renewed
--   h<ms left>                             held by another; this owner has its place in the queue
--   t                                      this owner has a tombstone
--   n                                      not this owner's
--   d                                      the owner has it no more
--   e<error>
--
-- Written for speed where nobody waits: every call of a command costs, and every function made.
local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local since = string.format('%.0f', math.floor(now / 1000))

-- Reserves tokens; gives the first one and how many. They grow while either the counter survives
-- or the clock does not run back. A counter that is ahead of the clock gets on by one only, so that
-- it never is by more than one reservation, and what a lost counter could repeat is long over.
-- Printed by format: Lua's own conversion gives 1.764e+15.
-- A foreign value there is put back, since one call for both costs less than to look first;
-- KEEPTTL, because theirs may have one.
local function reserve(fence, count)
  local found = call('SET', fence, string.format('%.0f', now + count - 1), 'KEEPTTL', 'GET')
  if found and (#found > 16 or string.find(found, '%D') or found == '') then
    call('SET', fence, found, 'KEEPTTL')
    error({ err = 'ERR a foreign value stands at #fence, where the last fencing token should; '
      .. 'delete it, or use another prefix' })
  end
  local last = tonumber(found or 0)
  if last < now then
    return string.format('%.0f', now), count
  end
  local first = string.format('%.0f', last + 1)
  call('SET', fence, first)
  return first, 1
end

-- The fence first: whatever fails, no lock stands whose token could be given out again. The lock in
-- one SET: with a PEXPIRE of its own, a bad ttl would leave a lock for ever.
local function grant(lock, fence, owner, ttl, tokens, who)
  local token, count = reserve(fence, tokens)
  call('SET', lock, owner .. ':' .. token .. ':' .. since .. ':' .. who, 'PX', ttl)
  return token, count
end

-- Makes the first waiter the owner whose process is there, and tells it. `mine` is granted without
-- being told. The lock before the message: nobody must believe in a lease that is not there.
local function hand_over(lock, fence, queue, mine)
  local entry = call('LPOP', queue)
  while entry and entry ~= mine do
    local owner, claim, tokens, channel, who =
      string.match(entry, '^([^:]*):(%d+):(%d+):([^:]*):(.*)$')
    local token, count = grant(lock, fence, owner, claim, tonumber(tokens), who)
    local message = owner .. ':' .. token .. ':' .. count .. ':' .. call('EXISTS', queue) .. ':'
      .. claim .. ':' .. string.format('%.0f', now)
    if call('PUBLISH', ARGV[1] .. channel, message) > 0 then
      break
    end
    entry = call('LPOP', queue)
  end
  return entry
end

-- Where the lock is held, or somebody waits, or this owner has given up.
local function acquire_contended(lock, fence, queue, tombstone, owner, entry, ttl, tokens, life, who)
  local value = call('GET', lock)
  if value and string.sub(value, 1, #owner + 1) == owner .. ':' then
    if call('PTTL', lock) < tonumber(ttl) then
      call('PEXPIRE', lock, ttl)
    end
    return 'g' .. string.match(value, '^%d+', #owner + 2) .. ':1:' .. call('EXISTS', queue)
  end
  if call('EXISTS', tombstone) == 1 then
    return 't'
  end
  local taken = value or hand_over(lock, fence, queue, entry)
  if not taken or taken == entry then
    local token, count = grant(lock, fence, owner, ttl, tonumber(tokens), who)
    return 'g' .. token .. ':' .. count .. ':' .. call('EXISTS', queue)
  end
  if not call('LPOS', queue, entry) then
    call('RPUSH', queue, entry)
  end
  if call('PTTL', queue) < tonumber(life) then
    call('PEXPIRE', queue, life)
  end
  return 'h' .. call('PTTL', lock)
end

local function attempt(k, a)
  local code, owner, lock, fence, queue = ARGV[a], ARGV[a + 1], KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local left
  if code == 'a' then
    if call('EXISTS', lock, queue, KEYS[k + 3]) == 0 then
      local token, count =
        grant(lock, fence, owner, ARGV[a + 3], tonumber(ARGV[a + 4]), ARGV[a + 6])
      return 'g' .. token .. ':' .. count .. ':0'
    end
    return acquire_contended(lock, fence, queue, KEYS[k + 3], owner, ARGV[a + 2], ARGV[a + 3],
      ARGV[a + 4], ARGV[a + 5], ARGV[a + 6])
  end
  if code == 'r' then
    if ARGV[a + 3] ~= '0' then
      -- First, and by pcall: out of memory must not undo the release.
      redis.pcall('SET', KEYS[k + 3], '1', 'PX', ARGV[a + 3])
    end
    if ARGV[a + 2] ~= '' then
      -- By pcall: a foreign value at the queue must not keep the lock.
      left = redis.pcall('LREM', queue, 0, ARGV[a + 2])
    end
  end
  local value = call('GET', lock)
  local is_owner = value and string.sub(value, 1, #owner + 1) == owner .. ':'
  if code == 'r' then
    if is_owner then
      local done, to = pcall(hand_over, lock, fence, queue, nil)
      if not done or not to then
        call('DEL', lock)
      end
    end
    if type(left) == 'table' then
      error(left)
    end
    return 'd'
  end
  if not is_owner then
    return 'n'
  end
  if call('PTTL', lock) < tonumber(ARGV[a + 2]) then
    call('PEXPIRE', lock, ARGV[a + 2])
  end
  local token, count = '0', 0
  if ARGV[a + 3] ~= '0' then
    token, count = reserve(fence, tonumber(ARGV[a + 3]))
  end
  return 'g' .. token .. ':' .. count .. ':' .. call('EXISTS', queue)
end

local keys, args = { a = 4, n = 3, r = 4 }, { a = 7, n = 4, r = 4 }
local replies = { string.format('%.0f', now) }
local k, a = 1, 2
while keys[ARGV[a]] do
  local code = ARGV[a]
  local ok, reply = pcall(attempt, k, a)
  if not ok then
    reply = 'e' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
  replies[#replies + 1] = reply
  k, a = k + keys[code], a + args[code]
end
if ARGV[a] then
  replies[1] = replies[1] .. ':' .. ARGV[a]
end
return replies
