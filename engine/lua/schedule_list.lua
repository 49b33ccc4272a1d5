-- All schedules.
-- KEYS: records
-- FLAGS: allow-oom
-- RETURNS: now, then flat rows of ScheduleRow
--- @include clock
--- @include schedule
local rows = { now }
local flat = redis.call('HGETALL', records)
for i = 1, #flat, 2 do add_schedule(rows, flat[i], flat[i + 1]) end
return rows
