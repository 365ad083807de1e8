-- Locks that several owners have at the same time.
--
-- Formats, of version 1. Such a lock is a hash:
--   "mode"         "s" for readers, or "p" and the number of permits
--   "1:owner:"     "end:weight:token:since:who", for each owner
--   "1k:owner:"    the same, for one that has finished, and keeps others out until its end
-- It ends with its last owner. Times are the server's, in milliseconds.
--   place in the queue    "1s:mode:weight:owner:claim ttl:channel:who"
-- The mode of a lock with one owner is "x" here.

-- Makes the functions, of those of contended.lua.
local function shared(reserve, offer, channel_of, tell)
  local ms, match = math.floor(now / 1000), string.match

  -- Ends what is over. Returns the mode, the weight that is taken, the latest end and an owner's text; or
  -- nothing if nobody has the lock.
  local function look(lock)
    local mode, taken, last, who, over = nil, 0, 0, nil, {}
    local found = call('HGETALL', lock)
    for i = 1, #found, 2 do
      local name, value = found[i], found[i + 1]
      if name == 'mode' then
        mode = value
      else
        local ends, weight, text = match(value, '^(%d+):(%d+):%d+:%d*:(.*)$')
        ends = tonumber(ends)
        if not ends then
          error({ err = 'ERR a foreign hash stands in the place of a lock; delete it, or use another prefix' })
        end
        if ends <= ms then
          over[#over + 1] = name
        else
          taken, last, who = taken + weight, math.max(last, ends), who or text
        end
      end
    end
    if last == 0 then
      call('DEL', lock)
      return nil, 0
    end
    if #over > 0 then
      call('HDEL', lock, unpack(over))
    end
    return mode, taken, last, who
  end

  -- Whether an owner may come beside those that have the lock in this mode; nil if the modes do not go
  -- together.
  local function admits(mode, taken, asked, weight)
    if not mode then
      return true
    end
    if mode ~= asked then
      local both = mode .. asked
      if both == 'sx' or both == 'xs' then
        return false
      end
      return nil
    end
    return mode == 's' or taken + weight <= tonumber(sub(mode, 2))
  end

  local function last_until(lock, ttl)
    if call('PTTL', lock) < tonumber(ttl) then
      call('PEXPIRE', lock, ttl)
    end
  end

  local function add(lock, fence, owner, ttl, mode, weight, rest)
    local token = reserve(fence, 1)
    local share = format('%.0f', ms + ttl) .. ':' .. weight .. ':' .. token .. rest
    call('HSET', lock, 'mode', mode, owner, share)
    last_until(lock, ttl)
    return token
  end

  -- Returns the token if the owner has a share.
  local function prolong(lock, owner, ttl)
    local share = try('HGET', lock, owner)
    if type(share) ~= 'string' then
      return nil
    end
    local ends, rest = match(share, '^(%d+)(:.*)$')
    if tonumber(ends) <= ms then
      return nil
    end
    -- Writes in any case, see attempts.lua.
    call('HSET', lock, owner, format('%.0f', math.max(ends, ms + ttl)) .. rest)
    last_until(lock, ttl)
    return match(rest, '^:%d+:(%d+)')
  end

  -- Returns whether the owner had a share, and whether others have one.
  local function remove(lock, owner, keep)
    local share = try('HGET', lock, owner)
    local had = false
    if type(share) == 'string' then
      local ends, rest = match(share, '^(%d+)(:.*)$')
      had = tonumber(ends) > ms
      if had and keep and keep ~= '' then
        call('HSET', lock, '1k' .. sub(owner, 2), format('%.0f', ms + keep) .. rest)
        last_until(lock, keep)
      end
      call('HDEL', lock, owner)
      -- The mode alone.
      if call('HLEN', lock) == 1 then
        call('DEL', lock)
      end
    end
    local count = try('HLEN', lock)
    return had, type(count) == 'number' and count > 0
  end

  -- Makes the first waiters owners, as far as they can have the lock, and notifies them; one that is not
  -- there is skipped. Stops at `mine`, without a message. `first` was taken from the queue already, while
  -- nobody had the lock. Returns the entry of the last one that got it, or `mine`; then the mode, the
  -- weight that is taken, the latest end and an owner's text.
  local function serve(lock, fence, queue, mine, first)
    local mode, taken, last, who
    if not first then
      mode, taken, last, who = look(lock)
    end
    taken = taken or 0
    local entry, got = first or call('LINDEX', queue, 0), nil
    while entry do
      local asked, weight, owner, claim, channel, text =
        match(entry, '^1s:([sp]%d*):(%d+):([^:]*):(%d+):([^:]*):(.*)$')
      local tokens = 1
      if asked then
        owner = '1:' .. owner .. ':'
      else
        owner, claim, tokens, channel, text = match(entry, '^(1:[^:]*:)(%d+):(%d+):([^:]*):(.*)$')
        asked, weight = owner and 'x', 0
      end
      local may = asked and admits(mode, taken, asked, weight)
      if may == false and asked then
        break
      end
      if entry ~= first then
        call('LPOP', queue)
      end
      first = nil
      if entry == mine then
        return mine, mode, taken, last, who
      end
      if may and asked == 'x' then
        if offer(lock, fence, queue, owner, claim, tokens, channel, text) then
          return entry, 'x', 0
        end
        call('DEL', lock)
      elseif may then
        local to = channel_of(channel)
        if to then
          local since = ':' .. format('%.0f', ms) .. ':' .. text
          local token = add(lock, fence, owner, claim, asked, weight, since)
          if tell(to, owner, token, 1, call('EXISTS', queue), claim) then
            got, mode, taken = entry, asked, taken + weight
            last, who = math.max(last or 0, ms + claim), who or text
          else
            remove(lock, owner)
          end
        end
      end
      entry = call('LINDEX', queue, 0)
    end
    return got, mode, taken, last, who
  end

  -- For an owner that asks, while no exclusive owner has the lock. Returns whether others have it now that are in
  -- the way, and the answer, which is missing if an exclusive owner has it.
  local function ask(lock, fence, queue, entry, asked, weight)
    -- A reader beside readers need not look at them.
    if asked == 's' and call('EXISTS', queue) == 0 and try('HGET', lock, 'mode') == 's' then
      return false
    end
    local got, mode, taken, last, who = serve(lock, fence, queue, entry)
    if got == entry then
      return false
    end
    if mode == 'x' then
      return true
    end
    local may = admits(mode, taken, asked, weight)
    if may == nil then
      call('LREM', queue, 0, entry)
      return true, 'm' .. mode
    end
    if may and call('EXISTS', queue) == 0 then
      return false
    end
    return true, 'h' .. format('%.0f', last - ms) .. ':' .. who
  end

  return { add = add, prolong = prolong, remove = remove, serve = serve, ask = ask }
end

