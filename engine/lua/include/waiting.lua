-- KEYS: wait ready parked
-- Every move into and out of the waiting jobs. `wait` has them in the order in which they start, without those that are parked;
-- `ready` has all by the moment (ms) at which they became ready, so that the one that has waited longest is known.
--- @include parked
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

-- A job that leaves in another way than by its start, when it might have been the next of its owner's.
local function leave_wait(id, record)
  if redis.call('ZREM', wait, id) == 1 then make_way(record) else leave_parked(id, record) end
  redis.call('ZREM', ready, id)
end
