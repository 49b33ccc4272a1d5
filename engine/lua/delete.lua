-- Removes jobs that do not run, and all that is kept of them. Stops when that has been much: call again with the rest.
-- KEYS: delayed jobs states secrets results failures checkpoints logs ids gone
-- ARGV: names admits reason
-- FLAGS: allow-oom
-- names: packed ids; admits: letters of the states in which a job is removed, of all but a
-- RETURNS: for each, as far as it came, its state before (empty: there is no such job)
--- @include clock
--- @include record
--- @include events
--- @include index
--- @include drop
--- @include waiting
local MOST_LINES = 4000
local answer, lines = {}, 0
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[STATE] or ''
  if record and string.find(admits, answer[i], 1, true) then
    lines = lines + math.min(record[LOGS], LOG_LINES)
    if answer[i] == 'w' then
      leave_wait(id, record)
    elseif answer[i] == 'd' then
      redis.call('ZREM', delayed, id)
    else
      leave_finished(answer[i], { id })
    end
    drop({ id }, { record })
    tell(id, '-', record[PROGRESS], reason ~= '' and 'deleted: ' .. reason or 'deleted')
  end
  if lines > MOST_LINES then break end
end
write_index()
publish()
return answer
