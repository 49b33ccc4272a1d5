-- KEYS: wait ready
-- Every move into and out of the waiting jobs. `wait` has them in the order in which they start, `ready` by the moment (ms) at
-- which they became ready, so that the one that has waited longest is known.
local new_wait, new_ready = {}, {}

-- Makes a job wait, as of record[READY]. The caller writes the record; `write_waiting` moves all such jobs at once.
local function enter_wait(id, record)
  record[STATE] = 'w'
  local place = #new_wait
  new_wait[place + 1], new_wait[place + 2] = wait_score(record), id
  new_ready[place + 1], new_ready[place + 2] = record[READY], id
end

-- Returns whether any jobs were moved.
local function write_waiting()
  if #new_wait == 0 then return false end
  redis.call('ZADD', wait, unpack(new_wait))
  redis.call('ZADD', ready, unpack(new_ready))
  new_wait, new_ready = {}, {}
  return true
end

local function leave_wait(id)
  redis.call('ZREM', wait, id)
  redis.call('ZREM', ready, id)
end

-- Takes up to `n` jobs, those that start first.
local function take_waiting(n)
  local popped = redis.call('ZPOPMIN', wait, n)
  local taken = {}
  for i = 1, #popped, 2 do taken[#taken + 1] = popped[i] end
  if #taken > 0 then redis.call('ZREM', ready, unpack(taken)) end
  return taken
end
