-- Pauses, resumes and limits a queue.
-- KEYS: meta marker
-- ARGV: fields expected default_max_active
-- FLAGS: allow-oom
-- fields: packed pairs of a field of meta and its value; false removes it, true is now, unless it is set already
-- expected: the limits that must be in force, packed Limits; an empty list compares nothing
-- RETURNS: 1 changed, 0 other limits are in force
--- @include clock
local wanted = cmsgpack.unpack(expected)
if #wanted > 0 then
  local limits = redis.call('HMGET', meta, 'max_active', 'rate_max', 'rate_period')
  if tonumber(limits[1] or default_max_active) ~= wanted[Limits.max_active] then return 0 end
  if tonumber(limits[2] or 0) ~= wanted[Limits.rate_max] or tonumber(limits[3] or 0) ~= wanted[Limits.rate_period] then return 0 end
end
local changes = cmsgpack.unpack(fields)
for i = 1, #changes, 2 do
  if changes[i + 1] == false then redis.call('HDEL', meta, changes[i])
  elseif changes[i + 1] == true then redis.call('HSETNX', meta, changes[i], string.format('%.0f', now))
  else redis.call('HSET', meta, changes[i], changes[i + 1]) end
end
redis.call('ZADD', marker, 0, '0')
return 1
