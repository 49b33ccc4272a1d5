-- KEYS: slots fired faults
-- What the store keeps of a schedule, as a ScheduleRow.
local function add_schedule(rows, name, record)
  local at = #rows
  rows[at + ScheduleRow.name] = name
  rows[at + ScheduleRow.record] = record
  rows[at + ScheduleRow.since] = redis.call('HGET', slots, name) or '0'
  rows[at + ScheduleRow.fired] = redis.call('HGET', fired, name) or '0'
  rows[at + ScheduleRow.fault] = redis.call('HGET', faults, name) or ''
end
