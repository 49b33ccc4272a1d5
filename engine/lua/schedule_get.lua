-- One schedule.
-- KEYS: records
-- ARGV: wanted
-- FLAGS: allow-oom
-- RETURNS: now, then a ScheduleRow; none where there is no such schedule
--- @include clock
--- @include schedule
local rows = { now }
local record = redis.call('HGET', records, wanted)
if record then add_schedule(rows, wanted, record) end
return rows
