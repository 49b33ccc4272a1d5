-- KEYS: retained
-- The moves out of the finished jobs, and between their sets.
--- @include clock
--- @include finished_sets
local function leave_finished(state, names)
  local sets = finished_sets[state]
  if redis.call('ZREM', sets.all, unpack(names)) == #names then return end
  redis.call('ZREM', sets.staying, unpack(names))
  redis.call('ZREM', retained, unpack(names))
end

-- Sets a finished job apart that has a stay of its own, as releases before 0.2.0 did not. Returns whether it has one.
local function set_apart(id, record)
  local ends = record[Record.finished] + record[Record.keep]
  if record[Record.keep] == 0 or ends <= now then return false end
  local sets = finished_sets[record[Record.state]]
  redis.call('ZADD', sets.staying, 'NX', timed(record[Record.finished], record[Record.seq]), id)
  redis.call('ZADD', retained, ends, id)
  redis.call('ZREM', sets.all, id)
  return true
end
