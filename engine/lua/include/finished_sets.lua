-- KEYS: completed failed cancelled staying_completed staying_failed staying_cancelled
-- Each state's jobs are in one of two sets, by their end. Jobs with a stay of their own are in `staying`, and in `retained` by the
-- moment (ms) at which it ends; others are in `all`. So what may go is at the head of a set, no job that stays before it, and counts
-- and caps look at no job that has to stay.
local FINISHED_KEPT = 100000 -- of each state, beside those that have to stay
local finished_sets = {
  [State.COMPLETED] = { all = completed, staying = staying_completed },
  [State.FAILED] = { all = failed, staying = staying_failed },
  [State.CANCELLED] = { all = cancelled, staying = staying_cancelled },
}
