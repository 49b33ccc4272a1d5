-- Removes finished jobs that ended at least `grace` ms ago, as many as one call may; call again while there are more.
-- ARGV: grace
-- FLAGS: allow-oom
-- RETURNS: removed completed, failed and cancelled jobs, and 1 if there are more
--- @include clock
--- @include events
--- @include index
--- @include finished_sets
--- @include drop
local STEP = 300
local answer, more = {}, 0

for i, state in ipairs({ State.COMPLETED, State.FAILED, State.CANCELLED }) do
  answer[i] = 0
  for _, set in pairs(finished_sets[state]) do
    local old = redis.call('ZRANGE', set, '-inf', until_ms(now - tonumber(grace)), 'BYSCORE', 'LIMIT', 0, STEP)
    local dropped, short = drop_finished(state, old)
    for _, id in ipairs(dropped) do tell(id, EventKind.REMOVED, 0, 'cleaned') end
    if short or #old == STEP then more = 1 end
    answer[i] = answer[i] + #dropped
  end
end
write_index()
publish()
answer[4] = more
return answer
