-- Makes delayed jobs ready now.
-- KEYS: delayed states marker
-- ARGV: names admits reason
-- FLAGS: allow-oom
-- names: packed ids; admits: letters of the states in which a job is changed, of d
-- RETURNS: for each its state before (empty: there is no such job)
--- @include clock
--- @include record
--- @include events
--- @include index
--- @include waiting
local answer = {}
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[Record.state] or ''
  if answer[i] == State.DELAYED and admits == State.DELAYED then
    redis.call('ZREM', delayed, id)
    record[Record.ready] = now
    enter_wait(id, record)
    file_job(id, record)
    redis.call('HSET', states, id, pack(record))
    tell(id, State.WAITING, record[Record.progress], reason ~= '' and 'promoted: ' .. reason or 'promoted')
  end
end
if write_waiting() then redis.call('ZADD', marker, 0, '0') end
write_index()
publish()
return answer
