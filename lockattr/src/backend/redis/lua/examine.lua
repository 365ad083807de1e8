-- What a server says of itself, asked by a script, since a proxy passes on nothing else.
--
-- KEYS[1] a name of ours that nothing has
-- ARGV[1] a channel of ours
-- Returns seconds and microseconds of the clock; the commands of the scripts that the user may not call,
-- or '?' if the server does not say (before Redis 7); '1', '0' or '?' for whether the user may read the
-- settings; and the text of INFO, or '' if the user may not read that.
-- What is forbidden is not tried: the server records what it refuses.

local function may(...)
  if not redis.acl_check_cmd then
    return nil
  end
  -- A command that was renamed is an error.
  local known, allowed = pcall(redis.acl_check_cmd, ...)
  return known and allowed
end

local name = KEYS[1]
local commands = {
  { 'GET', name }, { 'SET', name, '', 'PX', '1' }, { 'DEL', name }, { 'EXISTS', name },
  { 'PEXPIRE', name, '1' }, { 'PTTL', name }, { 'TIME' }, { 'LPOP', name }, { 'LPOS', name, '' },
  { 'LREM', name, '0', '' }, { 'RPUSH', name, '' }, { 'PUBLISH', ARGV[1], '' },
  { 'HDEL', name, '' }, { 'HGET', name, '' }, { 'HGETALL', name }, { 'HLEN', name }, { 'HSET', name, '', '' },
  { 'LINDEX', name, '0' },
}
local missing = {}
for _, command in ipairs(commands) do
  if may(unpack(command)) == false then
    missing[#missing + 1] = command[1]
  end
end
local info = may('INFO') ~= false and redis.pcall('INFO')
local settings = may('CONFIG', 'GET', 'timeout')
local time = may('TIME') ~= false and redis.pcall('TIME') or {}
return {
  time[1] or '', time[2] or '',
  redis.acl_check_cmd and table.concat(missing, ' ') or '?',
  settings == nil and '?' or settings and '1' or '0',
  type(info) == 'string' and info or '',
}
