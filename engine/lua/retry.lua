-- Makes failed and cancelled jobs ready again, with all their attempts.
-- KEYS: meta states results marker
-- ARGV: names admits reason
-- names: packed ids; admits: letters of the states in which a job is changed, of f and x
-- RETURNS: for each its state before (empty: there is no such job; Refusal.PURGED: it was left as it is)
--- @include clock
--- @include record
--- @include events
--- @include index
--- @include retention
--- @include waiting
local answer = {}
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[Record.state] or ''
  local ended = record and string.find(admits, answer[i], 1, true)
  if ended and record[Record.secret] == Secret.PURGED then
    answer[i] = Refusal.PURGED
  elseif ended then
    leave_finished(answer[i], { id })
    redis.call('HDEL', results, id)
    record[Record.fails], record[Record.stalls], record[Record.unknown_since] = 0, 0, 0
    record[Record.finished], record[Record.progress], record[Record.expire_at], record[Record.ready] = 0, 0, 0, now
    record[Record.seq] = take_numbers(meta, 1)
    if record[Record.cause] then record[Record.cause] = Cause.UNSPECIFIED end
    enter_wait(id, record)
    file_job(id, record)
    redis.call('HSET', states, id, pack(record))
    tell(id, State.WAITING, 0, reason ~= '' and 'retried: ' .. reason or 'retried')
  end
end
if write_waiting() then redis.call('ZADD', marker, 0, '0') end
write_index()
publish()
return answer
