-- What a call needs when a lock is held or waited for, when an owner has given up, and when the
-- fence has to catch up with the clock.
--
-- Formats, all of version 1:
--   lock     "1:owner:token:since:who", "1w:…" once another waits for it, and "1k:…" once its owner has
--            finished, and it keeps others out until its end; or as in shared.lua
--   queue    "1:owner:claim ttl:tokens:channel:who", or as in shared.lua; first come first
--   message  "1:owner:token:tokens:1 if others wait:claim ttl:the server's time"
-- A lock in another format counts as held, and is left as it is. A place in the queue in another
-- format is skipped: its owner asks again.

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
    return type(value) == 'string' and (begins(value, owner) or begins(value, marked(owner)))
  end

  -- The owners that have it at the same time, once there may be any.
  local several

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

  -- A message of a node reaches the other nodes too, but only this node's subscribers are counted. So
  -- that none hears of a lease that goes to the next waiter, they are counted before.
  local function channel_of(channel)
    local to = string.match(args[2], ' ([^ ]*)') .. channel
    return (not is_node or call('PUBSUB', 'NUMSUB', to)[2] > 0) and to
  end

  local function tell(to, owner, token, count, waiters, claim)
    local message = owner .. token .. ':' .. count .. ':' .. waiters .. ':' .. claim .. ':'
      .. format('%.0f', now)
    return call('PUBLISH', to, message) > 0
  end

  -- Makes a waiter the only owner. Returns whether its process is there. The lock before the message: no
  -- process may believe in a lease that does not exist.
  local function offer(lock, fence, queue, owner, claim, tokens, channel, who)
    local to = channel_of(channel)
    if not to then
      return false
    end
    local rest = ':' .. format('%.0f', math.floor(now / 1000)) .. ':' .. who
    local token, count, waiters = grant(lock, fence, queue, owner, claim, tokens, rest)
    return tell(to, owner, token, count, waiters, claim)
  end

  local function sharing()
    several = several or shared(reserve, offer, channel_of, tell)
    return several
  end

  -- Makes the first waiter whose process is there the owner, and notifies it. `mine` is granted
  -- without a message. Returns the entry of the one that has the lock now, or gets it.
  local function hand_over(lock, fence, queue, mine)
    local entry = call('LPOP', queue)
    while entry and entry ~= mine do
      if sub(entry, 1, 3) == '1s:' then
        -- The lock that is given up.
        call('DEL', lock)
        return (sharing().serve(lock, fence, queue, mine, entry))
      end
      local owner, claim, tokens, channel, who =
        string.match(entry, '^(1:[^:]*:)(%d+):(%d+):([^:]*):(.*)$')
      if owner and offer(lock, fence, queue, owner, claim, tokens, channel, who) then
        break
      end
      entry = call('LPOP', queue)
    end
    return entry
  end

  -- Marks the lock, so that its release sees the waiter. XX, and only a lock of ours: a foreign
  -- value is left as it is.
  local function mark(lock)
    local value = try('GET', lock)
    if type(value) == 'string' and string.find(value, '^1:%x+%-%x+%-%x+:%d+:') then
      call('SET', lock, marked(value), 'XX', 'KEEPTTL')
    end
  end

  local function queue_up(lock, queue, entry, life)
    if life == '' then
      return
    end
    mark(lock)
    if not call('LPOS', queue, entry) then
      call('RPUSH', queue, entry)
    end
    if call('PTTL', queue) < tonumber(life) then
      call('PEXPIRE', queue, life)
    end
  end

  -- The answer to an owner that has to wait for the only owner of the lock.
  local function held(lock)
    local value = try('GET', lock)
    local who = type(value) == 'string' and string.match(value, '^1%w?:[^:]*:%d*:%d*:(.*)$')
    return 'h' .. call('PTTL', lock) .. ':' .. (who or '')
  end

  -- `mode` and `weight` are there if the owner may have the lock beside others.
  local function acquire(k, owner, ttl, tokens, waiting, rest, least, mode, weight)
    local lock, fence, queue = keys[k], keys[k + 1], keys[k + 2]
    local value = try('GET', lock)
    local token
    if not mode and is_owner(value, owner) then
      prolong(lock, ttl)
      token = string.match(value, '^%w+:[^:]*:(%d+)')
    elseif mode and type(value) == 'table' then
      token = sharing().prolong(lock, owner, ttl)
    end
    if token then
      return 'g' .. token .. ':1:' .. call('EXISTS', queue)
    end
    if call('EXISTS', keys[k + 3]) == 1 then
      return 't'
    end
    local claim, life = string.match(waiting, '^(%d+) (%d*)$')
    local entry = mode and '1s:' .. mode .. ':' .. weight .. ':' .. sub(owner, 3) .. claim
      or owner .. claim .. ':' .. tokens
    entry = entry .. ':' .. string.match(args[2], '^[^ ]*') .. ':' .. string.match(rest, '^:%d*:(.*)$')

    -- Whether others have it, and the answer where that depends on their mode.
    local taken, answer = value, nil
    if not value and not mode then
      taken = hand_over(lock, fence, queue, entry)
      taken = taken ~= entry and taken
    end
    local has_shares = type(value) == 'table' or not value and taken and begins(taken, '1s:')
    if has_shares or mode and not value then
      taken, answer = sharing().ask(lock, fence, queue, entry, mode or 'x', tonumber(weight or 0))
    end
    if not taken then
      if mode then
        token = sharing().add(lock, fence, owner, ttl, mode, weight, rest)
        return 'g' .. token .. ':1:' .. call('EXISTS', queue)
      end
      local first, count, waiters = grant(lock, fence, queue, owner, ttl, tokens, rest, least)
      return 'g' .. first .. ':' .. count .. ':' .. waiters
    end
    if not answer and mode and mode ~= 's' then
      -- One owner has it, which goes with no permits.
      call('LREM', queue, 0, entry)
      answer = 'mx'
    end
    if not answer or sub(answer, 1, 1) == 'h' then
      queue_up(lock, queue, entry, life)
    end
    return answer or held(lock)
  end

  local function renew(k, owner, ttl, is_share)
    local lock, _, queue = names(keys[k])
    if is_share then
      if not sharing().prolong(lock, owner, ttl) then
        return 'n'
      end
    elseif is_owner(try('GET', lock), owner) then
      prolong(lock, ttl)
    else
      return 'n'
    end
    -- By pcall: while a slot of a cluster moves, the queue may be on another node.
    return try('EXISTS', queue) == 1 and 'k1' or 'k0'
  end

  local function add_tokens(k, owner, tokens, least)
    if not is_owner(try('GET', keys[k]), owner) then
      return 'n'
    end
    local _, fence, queue = names(keys[k])
    local token, count = reserve(fence, tokens, least)
    return 'g' .. token .. ':' .. count .. ':' .. call('EXISTS', queue)
  end

  -- Writes a tombstone, and gives up the place in the queue. Returns whether there was one, and what is
  -- left to do.
  local function give_up(owner, queue, tombs, entry, tombstone)
    local left, removed
    if tombstone and tombstone ~= '' then
      -- First, and by pcall: out of memory must not undo the release.
      local stone = try('SET', tombs .. sub(owner, 3, -2), '1', 'PX', tombstone)
      -- While a slot of a cluster moves, there is none yet: the release is asked for again.
      left = stone.err and string.find(stone.err, 'non local key') and stone or nil
    end
    if entry and entry ~= '' then
      -- By pcall: a foreign value at the queue must not keep the lock.
      removed = try('LREM', queue, 0, entry)
      left = type(removed) == 'table' and removed or left
    end
    return type(removed) == 'number' and removed > 0, left
  end

  -- Gives the lock to the first waiter, or to nobody.
  local function give_back(lock, fence, queue)
    local done, to = pcall(hand_over, lock, fence, queue, nil)
    if not done or not to then
      call('DEL', lock)
    end
  end

  local function release(k, owner, entry, tombstone, keep, is_share)
    local lock, fence, queue, tombs = names(keys[k])
    local had_place, left = give_up(owner, queue, tombs, entry, tombstone)
    -- What leaves may have stood before others that can have the lock beside its owners.
    local lets_in
    if is_share then
      local had_share, is_shared = sharing().remove(lock, owner, keep)
      lets_in = had_share or had_place and is_shared
    else
      local value = try('GET', lock)
      if not is_owner(value, owner) then
        lets_in = had_place and type(value) == 'table'
      elseif keep and keep ~= '' then
        call('SET', lock, '1k' .. string.match(value, '^1w?(:.*)$'), 'PX', keep)
      else
        give_back(lock, fence, queue)
      end
    end
    if lets_in then
      pcall(sharing().serve, lock, fence, queue)
    end
    if left then
      error(left)
    end
    return 'd'
  end

  -- From all that have it, in whatever format.
  local function take_away(k)
    local lock, fence, queue = names(keys[k])
    give_back(lock, fence, queue)
    return 'd'
  end

  local ways = {
    a = acquire, n = renew, t = add_tokens, r = release, o = take_away,
  }
  return function(code, ...)
    if not now then
      read_clock()
    end
    declares_fence = code == 'a'
    local ok, reply = pcall(ways[code], ...)
    return ok and reply or 'e' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
end

