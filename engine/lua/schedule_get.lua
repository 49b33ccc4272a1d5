-- One schedule.
-- ARGV: wanted
-- FLAGS: allow-oom
-- RETURNS: now, then a row as include/schedule.lua describes it; no row where there is no such schedule
--- @include clock
--- @include schedule
local rows = { now }
local record = redis.call('HGET', records, wanted)
if record then add_schedule(rows, wanted, record) end
return rows
