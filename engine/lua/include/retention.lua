-- KEYS: completed failed cancelled staying_completed staying_failed staying_cancelled retained
-- Every move into and out of the finished jobs. Each state has two sets by the end of its jobs: `all` but those with a stay of their
-- own, which are `staying`, and in `retained` by the moment (ms) at which that stay ends. So what may go stands at the head of a set,
-- behind no job that stays, and counts and caps look at no job that has to stay.
local FINISHED_KEPT = 100000 -- of each state, beside those that have to stay
local finished_sets = {
  c = { all = completed, staying = staying_completed },
  f = { all = failed, staying = staying_failed },
  x = { all = cancelled, staying = staying_cancelled },
}

local function leave_finished(state, names)
  local sets = finished_sets[state]
  if redis.call('ZREM', sets.all, unpack(names)) == #names then return end
  redis.call('ZREM', sets.staying, unpack(names))
  redis.call('ZREM', retained, unpack(names))
end

-- Puts a finished job apart if it has a stay of its own, which a release before 0.2.0 has not done. Returns whether it has one.
local function set_apart(id, record)
  local ends = record[FINISHED] + record[KEEP]
  if record[KEEP] == 0 or ends <= now then return false end
  local sets = finished_sets[record[STATE]]
  redis.call('ZADD', sets.staying, 'NX', timed(record[FINISHED], record[SEQ]), id)
  redis.call('ZADD', retained, ends, id)
  redis.call('ZREM', sets.all, id)
  return true
end
