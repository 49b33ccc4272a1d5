-- Notes why a schedule could not fire, or that nothing keeps it from firing any more.
-- KEYS: records slots faults
-- ARGV: name record slot cause
-- FLAGS: allow-oom
-- record: what was tried; if the schedule was changed meanwhile, nothing is noted
-- slot: the one that could not be fired, 0 for none; if another scheduler fired it meanwhile, nothing is noted
-- cause: empty where nothing keeps it
-- RETURNS: 1 noted, 0 not
if redis.call('HGET', records, name) ~= record then return 0 end
if cause == '' then return redis.call('HDEL', faults, name) end
if slot ~= '0' and tonumber(slot) <= tonumber(redis.call('HGET', slots, name) or '0') then return 0 end
if redis.call('HGET', faults, name) == cause then return 0 end
redis.call('HSET', faults, name, cause)
return 1
