-- Pauses, resumes and limits a queue.
-- KEYS: meta wait marker
-- ARGV: fields
-- FLAGS: allow-oom
-- fields: packed pairs of a field of meta and its value; false removes it
-- RETURNS: 1
--- @include clock
--- @include record
--- @include events
local changes = cmsgpack.unpack(fields)
for i = 1, #changes, 2 do
  if changes[i + 1] == false then redis.call('HDEL', meta, changes[i])
  else redis.call('HSET', meta, changes[i], changes[i + 1]) end
end
redis.call('ZADD', marker, 0, '0')
tell('', 'q', 0, '')
publish()
return 1
