-- Frees the lock if this owner has it, and refuses the owner's acquires from now on. For owners
-- with an acquire whose outcome is unknown: it may be executed after this.
--
-- KEYS[1] lock
-- KEYS[2] tombstone  of this owner
-- ARGV[1] owner id
-- ARGV[2] life of the tombstone in milliseconds
-- Returns 1 freed | 0 not this owner's
local mine = ARGV[1] .. ':'
local freed = 0
if string.sub(redis.call('GET', KEYS[1]) or '', 1, #mine) == mine then
  freed = redis.call('DEL', KEYS[1])
end
-- Also when something was freed: a second copy of the acquire may be on its way. By pcall: out of
-- memory must not undo the release.
redis.pcall('SET', KEYS[2], '1', 'PX', ARGV[2])
return freed
