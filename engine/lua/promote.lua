-- Makes delayed jobs ready now.
-- KEYS: meta wait delayed states marker
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: for each its state before (empty: there is no such job)
--- @include clock
--- @include record
--- @include events
local answer, ready = {}, false
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[STATE] or ''
  if answer[i] == 'd' then
    redis.call('ZREM', delayed, id)
    record[STATE], record[READY] = 'w', now
    redis.call('ZADD', wait, wait_score(record), id)
    redis.call('HSET', states, id, pack(record))
    tell(id, 'w', record[PROGRESS], 'promoted')
    ready = true
  end
end
if ready then redis.call('ZADD', marker, 0, '0') end
publish()
return answer
