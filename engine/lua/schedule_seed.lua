-- Writes the first schedules of a new store, once: what is changed or deleted later stays so.
-- KEYS: records slots seeded
-- ARGV: entries
-- entries: packed pairs of name and record
-- RETURNS: schedules written
--- @include clock
if redis.call('EXISTS', seeded) == 1 then return 0 end
local flat, written = cmsgpack.unpack(entries), 0
for i = 1, #flat, 2 do
  written = written + redis.call('HSETNX', records, flat[i], flat[i + 1])
  redis.call('HSETNX', slots, flat[i], string.format('%.0f', now))
end
redis.call('SET', seeded, '1')
return written
