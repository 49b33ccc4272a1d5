-- KEYS: records slots fired faults
-- What the store keeps of a schedule, as a row: name, record, what its slots count from (ms), the slot fired last (ms, 0 for none), and
-- why it could not fire when that was tried last (empty for nothing).
local function add_schedule(rows, name, record)
  rows[#rows + 1] = name
  rows[#rows + 1] = record
  rows[#rows + 1] = redis.call('HGET', slots, name) or '0'
  rows[#rows + 1] = redis.call('HGET', fired, name) or '0'
  rows[#rows + 1] = redis.call('HGET', faults, name) or ''
end
