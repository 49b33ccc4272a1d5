-- Forgets a schedule.
-- KEYS: records slots runs fired faults
-- ARGV: name expected
-- FLAGS: allow-oom
-- expected: the record that is to go; empty for whatever the store holds
-- RETURNS: a Change
local stored = redis.call('HGET', records, name)
if not stored then return Change.MISSING end
if expected ~= '' and stored ~= expected then return Change.OVERTAKEN end
for _, key in ipairs({ records, slots, runs, fired, faults }) do redis.call('HDEL', key, name) end
return Change.DONE
