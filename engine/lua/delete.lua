-- Removes jobs that do not run, and all that is kept of them.
-- KEYS: delayed all jobs states secrets results failures checkpoints logs ids gone
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: for each its state before (empty: there is no such job)
--- @include clock
--- @include record
--- @include events
--- @include drop
--- @include waiting
local answer = {}
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[STATE] or ''
  if record and answer[i] ~= 'a' then
    if answer[i] == 'w' then
      leave_wait(id, record)
    elseif answer[i] == 'd' then
      redis.call('ZREM', delayed, id)
    else
      leave_finished(answer[i], { id })
    end
    drop({ id }, { record })
    tell(id, '-', record[PROGRESS], 'deleted')
  end
end
publish()
return answer
