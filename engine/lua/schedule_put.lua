-- Writes a schedule, unless somebody else wrote it meanwhile.
-- KEYS: records slots faults
-- ARGV: name record expected restart
-- expected: the record that this one replaces; empty for a new schedule
-- restart: 1 where its slots count from now on
-- RETURNS: 1 written, 0 the store holds another record, -1 there is none
--- @include clock
local stored = redis.call('HGET', records, name)
if not stored and expected ~= '' then return -1 end
if stored and stored ~= expected then return 0 end
redis.call('HSET', records, name, record)
if restart == '1' then redis.call('HSET', slots, name, now) end
redis.call('HDEL', faults, name)
return 1
