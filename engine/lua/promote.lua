-- Makes delayed jobs ready now.
-- KEYS: delayed states marker
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: for each its state before (empty: there is no such job)
--- @include clock
--- @include record
--- @include events
--- @include waiting
local answer = {}
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[STATE] or ''
  if answer[i] == 'd' then
    redis.call('ZREM', delayed, id)
    record[READY] = now
    enter_wait(id, record)
    redis.call('HSET', states, id, pack(record))
    tell(id, 'w', record[PROGRESS], 'promoted')
  end
end
if write_waiting() then redis.call('ZADD', marker, 0, '0') end
publish()
return answer
