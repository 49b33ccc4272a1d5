-- KEYS: completed failed cancelled expiring_completed expiring_failed expiring_cancelled retained
-- Every move into and out of the finished jobs. Each state's set has all of its jobs, by their end. A job with a stay of its own is
-- in `retained` too, by the moment (ms) at which that stay ends; any other is in its state's `expiring` set, by its end (ms). So
-- what may go stands at the head of a set, behind no job that stays, and counts and caps look at no job that has to stay.
local FINISHED_KEPT = 100000 -- of each state, beside those that have to stay
local finished_sets = {
  c = { all = completed, expiring = expiring_completed },
  f = { all = failed, expiring = expiring_failed },
  x = { all = cancelled, expiring = expiring_cancelled },
}

local function leave_finished(state, names)
  local sets = finished_sets[state]
  redis.call('ZREM', sets.all, unpack(names))
  if redis.call('ZREM', sets.expiring, unpack(names)) < #names then redis.call('ZREM', retained, unpack(names)) end
end
