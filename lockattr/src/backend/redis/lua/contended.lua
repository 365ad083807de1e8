-- What a call needs when a lock is held or waited for, when an owner has given up, and when the
-- fence has to catch up with the clock. It stands in front of attempts.lua, in one script.
--
-- Formats, all of version 1:
--   lock     "1:owner:token:since:who", and "1w:…" once another waits for it
--   queue    "1:owner:claim ttl:tokens:channel:who", first come first
--   message  "1:owner:token:tokens:1 if others wait:claim ttl:the server's time"
-- A lock in another format counts as held, and is left as it is. A place in the queue in another
-- format is skipped: its owner asks again.

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

-- Makes the function that executes an attempt for which the short way does not suffice.
local function contended()
  local is_node = string.find(args[2], ' node$')
  -- Whether the attempt declares the fence.
  local declares_fence

  local function begins(value, text)
    return sub(value, 1, #text) == text
  end

  -- The beginning of the value of this owner's lock once another owner waits.
  local function marked(owner)
    return '1w' .. sub(owner, 2)
  end

  -- The other names of a lock: "<prefix>:{<bucket>}" comes first in all of them.
  local function names(lock)
    local bucket = string.match(lock, '^[^}]*}')
    return lock, bucket .. '#fence', bucket .. '#queue:' .. sub(lock, #bucket + 2), bucket .. '#tomb:'
  end

  local function is_owner(value, owner)
    return value and (begins(value, owner) or begins(value, marked(owner)))
  end

  -- Writes in any case, see attempts.lua.
  local function prolong(lock, ttl)
    local left = call('PTTL', lock)
    call('PEXPIRE', lock, left < tonumber(ttl) and ttl or left)
  end

  -- Tokens grow while either the counter survives or the clock does not run back. Printed by
  -- format: Lua's own conversion returns 1.764e+15.
  local function reserve(fence, tokens, least)
    local count = tonumber(tokens)
    local now, stamp = now, stamp
    if least and tonumber(least) > now then
      now, stamp = tonumber(least), least
    end
    local found = try('SET', fence, format('%.0f', now + count - 1), 'KEEPTTL', 'GET')
    local token, got = stamp, nil
    if found then
      token, got = reserve_past(fence, found, now, stamp)
      if not token then
        error({ err = got })
      end
    elseif is_node and not declares_fence then
      -- While a slot of a cluster moves, the fence may still be on another node, and could not move here
      -- if there were a second one.
      call('DEL', fence)
      error({ err = 'TRYAGAIN the fencing tokens are on another node' })
    end
    return token, got or count
  end

  -- The fence first: whatever fails, no lock stands whose token could be granted again. The lock in
  -- one SET: with a separate PEXPIRE, a bad ttl would leave a lock for ever.
  local function grant(lock, fence, queue, owner, ttl, tokens, rest, least)
    local token, count = reserve(fence, tokens, least)
    local waiters = call('EXISTS', queue)
    call('SET', lock, (waiters == 1 and marked(owner) or owner) .. token .. rest, 'PX', ttl)
    return token, count, waiters
  end

  -- Makes the first waiter whose process is there the owner, and notifies it. `mine` is granted
  -- without a message. The lock before the message: no process may believe in a lease that does not
  -- exist.
  local function hand_over(lock, fence, queue, mine)
    local entry = call('LPOP', queue)
    while entry and entry ~= mine do
      local owner, claim, tokens, channel, who =
        string.match(entry, '^(1:[^:]*:)(%d+):(%d+):([^:]*):(.*)$')
      -- A message of a node reaches the other nodes too, but only this node's subscribers are counted. So
      -- that none hears of a lease that goes to the next waiter, they are counted before.
      local to = string.match(args[2], ' ([^ ]*)') .. (channel or '')
      if owner and is_node and call('PUBSUB', 'NUMSUB', to)[2] == 0 then
        owner = nil
      end
      if owner then
        local rest = ':' .. format('%.0f', math.floor(now / 1000)) .. ':' .. who
        local token, count, waiters = grant(lock, fence, queue, owner, claim, tokens, rest)
        local message = owner .. token .. ':' .. count .. ':' .. waiters .. ':' .. claim .. ':'
          .. format('%.0f', now)
        if call('PUBLISH', to, message) > 0 then
          break
        end
      end
      entry = call('LPOP', queue)
    end
    return entry
  end

  -- Marks the lock, so that its release sees the waiter. XX, and only a lock of ours: a foreign
  -- value is left as it is.
  local function mark(lock)
    local value = call('GET', lock)
    if value and string.find(value, '^1:%x+%-%x+%-%x+:%d+:') then
      call('SET', lock, marked(value), 'XX', 'KEEPTTL')
    end
  end

  local function acquire(k, owner, ttl, tokens, waiting, rest, least)
    local lock, fence, queue = keys[k], keys[k + 1], keys[k + 2]
    local value = call('GET', lock)
    if is_owner(value, owner) then
      prolong(lock, ttl)
      return 'g' .. string.match(value, '^%w+:[^:]*:(%d+)') .. ':1:' .. call('EXISTS', queue)
    end
    if call('EXISTS', keys[k + 3]) == 1 then
      return 't'
    end
    local claim, life = string.match(waiting, '^(%d+) (%d*)$')
    local entry = owner .. claim .. ':' .. tokens .. ':' .. string.match(args[2], '^[^ ]*') .. ':'
      .. string.match(rest, '^:%d*:(.*)$')
    local taken = value or hand_over(lock, fence, queue, entry)
    if not taken or taken == entry then
      local token, count, waiters = grant(lock, fence, queue, owner, ttl, tokens, rest, least)
      return 'g' .. token .. ':' .. count .. ':' .. waiters
    end
    if life ~= '' then
      mark(lock)
      if not call('LPOS', queue, entry) then
        call('RPUSH', queue, entry)
      end
      if call('PTTL', queue) < tonumber(life) then
        call('PEXPIRE', queue, life)
      end
    end
    return 'h' .. call('PTTL', lock)
  end

  local function renew(k, owner, ttl)
    if not is_owner(call('GET', keys[k]), owner) then
      return 'n'
    end
    local lock, _, queue = names(keys[k])
    prolong(lock, ttl)
    -- By pcall: while a slot of a cluster moves, the queue may be on another node.
    return try('EXISTS', queue) == 1 and 'k1' or 'k0'
  end

  local function add_tokens(k, owner, tokens, least)
    if not is_owner(call('GET', keys[k]), owner) then
      return 'n'
    end
    local _, fence, queue = names(keys[k])
    local token, count = reserve(fence, tokens, least)
    return 'g' .. token .. ':' .. count .. ':' .. call('EXISTS', queue)
  end

  local function release(k, owner, entry, tombstone)
    local lock, fence, queue, tombs = names(keys[k])
    local left
    if tombstone and tombstone ~= '' then
      -- First, and by pcall: out of memory must not undo the release.
      local stone = try('SET', tombs .. sub(owner, 3, -2), '1', 'PX', tombstone)
      -- While a slot of a cluster moves, there is none yet: the release is asked for again.
      left = stone.err and string.find(stone.err, 'non local key') and stone or nil
    end
    if entry and entry ~= '' then
      -- By pcall: a foreign value at the queue must not keep the lock.
      local removed = try('LREM', queue, 0, entry)
      left = type(removed) == 'table' and removed or left
    end
    if is_owner(call('GET', lock), owner) then
      local done, to = pcall(hand_over, lock, fence, queue, nil)
      if not done or not to then
        call('DEL', lock)
      end
    end
    if left then
      error(left)
    end
    return 'd'
  end

  local ways = { a = acquire, n = renew, t = add_tokens, r = release }
  return function(code, ...)
    if not now then
      read_clock()
    end
    declares_fence = code == 'a'
    local ok, reply = pcall(ways[code], ...)
    return ok and reply or 'e' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
end

