-- Removes finished jobs that ended at least `grace` ms ago, a bounded number of each state.
-- KEYS: all jobs states secrets results failures checkpoints logs ids gone
-- ARGV: grace
-- FLAGS: allow-oom
-- RETURNS: removed completed, failed and cancelled jobs, and 1 if there are more
--- @include clock
--- @include record
--- @include events
--- @include drop
local STEP = 500
local answer, more = {}, 0
for i, state in ipairs({ 'c', 'f', 'x' }) do
  local old = redis.call('ZRANGE', finished_sets[state].all, '-inf', until_ms(now - tonumber(grace)), 'BYSCORE', 'LIMIT', 0, STEP)
  for _, id in ipairs(old) do tell(id, '-', 0, 'cleaned') end
  answer[i] = drop_finished(state, old)
  if #old == STEP then more = 1 end
end
publish()
answer[4] = more
return answer
