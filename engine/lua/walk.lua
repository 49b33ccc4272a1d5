-- One step along the jobs of one state in the order of its own set: which of them match. Bounded in jobs and in bytes read.
-- KEYS: wait parked delayed completed failed cancelled staying_completed staying_failed staying_cancelled
-- ARGV: filter begun_id begun state after_score after_id backwards wanted scan
-- FLAGS: allow-oom
-- filter, begun_id, begun: see include/match; state: its letter; after_score, after_id: the place to go on after, or empty
-- RETURNS: a Stride, whose place is score, space, id, then flat rows of FoundRow
--- @include clock
--- @include stretches
-- Jobs that are set aside, or stay longer, keep their score, and so their place, when they come back to the others.
local sets = ({
  [State.WAITING] = { wait, parked },
  [State.DELAYED] = { delayed },
  [State.COMPLETED] = { completed, staying_completed },
  [State.FAILED] = { failed, staying_failed },
  [State.CANCELLED] = { cancelled, staying_cancelled },
})[state] or {}

-- What is left of a set. The job of the place may be gone, and thousands may share its score: so it is searched for among them.
local function rest(key)
  local low, high = 0, redis.call('ZCARD', key)
  if after_id ~= '' then
    local first, last = redis.call('ZCOUNT', key, '-inf', '(' .. after_score), redis.call('ZCOUNT', key, '-inf', after_score)
    local rank = rank_after(key, first, last, after_id, descending)
    if descending then high = rank else low = rank end
  end
  return stretch(key, low, high, function(id, score) return tonumber(score), id end)
end

local stretches = {}
for i, key in ipairs(sets) do stretches[i] = rest(key) end
return walk(
  stretches,
  Stride {
    usable = 1, now = now, looked_at = 0, place = after_id ~= '' and after_score .. ' ' .. after_id or '',
    at_end = 0, begun_id = '', begun = 0,
  },
  function(found) return found.score .. ' ' .. found.id end,
  function(found) return found.score end
)
