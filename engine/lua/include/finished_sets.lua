-- KEYS: completed failed cancelled staying_completed staying_failed staying_cancelled retained
-- Each state has two sets by the end of its jobs: `all` but those with a stay of their own, which are `staying`, and in `retained` by
-- the moment (ms) at which that stay ends. So what may go stands at the head of a set, behind no job that stays, and counts and caps
-- look at no job that has to stay.
local FINISHED_KEPT = 100000 -- of each state, beside those that have to stay
local finished_sets = {
  c = { all = completed, staying = staying_completed },
  f = { all = failed, staying = staying_failed },
  x = { all = cancelled, staying = staying_cancelled },
}
