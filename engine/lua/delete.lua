-- Removes jobs that do not run, and all that is kept of them.
-- KEYS: delayed completed failed cancelled all jobs states secrets results failures checkpoints logs ids gone
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: for each its state before (empty: there is no such job)
--- @include clock
--- @include record
--- @include events
--- @include drop
--- @include waiting
local sets = { d = delayed, c = completed, f = failed, x = cancelled }
local answer = {}
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[STATE] or ''
  local set = sets[answer[i]]
  if set or answer[i] == 'w' then
    if set then redis.call('ZREM', set, id) else leave_wait(id) end
    drop({ id }, { record })
    tell(id, '-', record[PROGRESS], 'deleted')
  end
end
publish()
return answer
