-- Forgets a schedule.
-- KEYS: records slots runs fired faults
-- ARGV: name expected
-- FLAGS: allow-oom
-- expected: the record that is to go; empty for whatever the store holds
-- RETURNS: 1 forgotten, 0 the store holds another record, -1 there is none
local stored = redis.call('HGET', records, name)
if not stored then return -1 end
if expected ~= '' and stored ~= expected then return 0 end
for _, key in ipairs({ records, slots, runs, fired, faults }) do redis.call('HDEL', key, name) end
return 1
