-- Removes finished jobs that ended at least `grace` ms ago, a bounded number of each state.
-- KEYS: jobs states secrets results failures checkpoints logs ids gone
-- ARGV: grace
-- FLAGS: allow-oom
-- RETURNS: removed completed, failed and cancelled jobs, and 1 if there are more
--- @include clock
--- @include record
--- @include events
--- @include index
--- @include drop
local STEP, MOST_LINES = 500, 4000
local answer, more, lines = {}, 0, 0

-- The first of them, as far as it is not too much for one call to remove their log lines.
local function some(old)
  local chosen = {}
  for _, id in ipairs(old) do
    if lines > MOST_LINES then
      more = 1
      break
    end
    local kept = redis.call('HGET', states, id)
    if kept then lines = lines + math.min(unpack_record(kept)[LOGS], LOG_LINES) end
    chosen[#chosen + 1] = id
  end
  return chosen
end

for i, state in ipairs({ 'c', 'f', 'x' }) do
  local old = redis.call('ZRANGE', finished_sets[state].all, '-inf', until_ms(now - tonumber(grace)), 'BYSCORE', 'LIMIT', 0, STEP)
  if #old == STEP then more = 1 end
  local chosen = some(old)
  for _, id in ipairs(chosen) do tell(id, '-', 0, 'cleaned') end
  answer[i] = drop_finished(state, chosen)
end
write_index()
publish()
answer[4] = more
return answer
