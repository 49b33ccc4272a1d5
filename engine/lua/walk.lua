-- One step along the jobs of one state in the order of its own set: which of them match. Bounded in jobs and in bytes read.
-- KEYS: wait parked delayed completed failed cancelled staying_completed staying_failed staying_cancelled
-- ARGV: filter begun_id begun state after_score after_id backwards wanted scan
-- FLAGS: allow-oom
-- filter, begun_id, begun: see include/match; state: its letter; after_score, after_id: the place to go on after, or empty
-- RETURNS: 1, now, jobs looked at, the place it came to (score, space, id), 1 if the end was reached, begun_id and
-- begun for the next call, then for each match id, score, state, what became of its secret
--- @include clock
--- @include record
--- @include match
--- @include stretches
-- Jobs that are set aside, or stay longer, keep their score, and so their place, when they come back to the others.
local sets = ({
  w = { wait, parked },
  d = { delayed },
  c = { completed, staying_completed },
  f = { failed, staying_failed },
  x = { cancelled, staying_cancelled },
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
  { 1, now, 0, after_id ~= '' and after_score .. ' ' .. after_id or '', 0, '', 0 },
  function(found) return found.score .. ' ' .. found.id end,
  function(found) return found.score end
)
