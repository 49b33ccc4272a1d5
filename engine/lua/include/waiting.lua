-- KEYS: wait ready parked_owners
-- Every move into and out of the waiting jobs. `wait` has them in the order in which they start, without those that are parked;
-- `ready` has all of them by the moment (ms) at which they became ready, so that it is known which has waited longest.
--- @include record
local new_wait, new_ready, set_aside = {}, {}, nil
--- @lazy parked: unpark_next

-- Whether any job is parked (see include/parked).
local function any_parked()
  if set_aside == nil then set_aside = redis.call('EXISTS', parked_owners) == 1 end
  return set_aside
end

-- A job has left active, or will never get there: its owner's next may run.
local function make_way(record)
  if any_parked() then unpark_next(record) end
end

-- Makes a job wait, as of record[Record.ready]. The caller writes the record; `write_waiting` moves all such jobs at once.
local function enter_wait(id, record)
  record[Record.state] = State.WAITING
  local place = #new_wait
  new_wait[place + 1], new_wait[place + 2] = wait_score(record), id
  new_ready[place + 1], new_ready[place + 2] = record[Record.ready], id
end

-- Returns whether any jobs were moved.
local function write_waiting()
  if #new_wait == 0 then return false end
  redis.call('ZADD', wait, unpack(new_wait))
  redis.call('ZADD', ready, unpack(new_ready))
  new_wait, new_ready = {}, {}
  return true
end
