-- Writes a schedule, unless somebody else wrote it meanwhile.
-- KEYS: records slots faults
-- ARGV: name record expected restart
-- expected: the record that this one replaces; empty for a new schedule
-- restart: 1 where its slots count from now on
-- RETURNS: a Change
--- @include clock
local stored = redis.call('HGET', records, name)
if not stored and expected ~= '' then return Change.MISSING end
if stored and stored ~= expected then return Change.OVERTAKEN end
redis.call('HSET', records, name, record)
if restart == '1' then redis.call('HSET', slots, name, now) end
redis.call('HDEL', faults, name)
return Change.DONE
