-- Cancels jobs. A running one stops being its worker's at once.
-- KEYS: meta wait delayed active states marker
-- ARGV: names admits reason
-- FLAGS: allow-oom
-- names: packed ids; admits: letters of the states in which a job is changed, of w, d and a
-- RETURNS: for each its state before (empty: there is no such job)
--- @include record
--- @include events
--- @include tally
--- @include index
--- @include finish
--- @include waiting
--- @include leaving
local sets = { [State.DELAYED] = delayed, [State.ACTIVE] = active }
local answer, freed = {}, false
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[Record.state] or ''
  if record and string.find(admits, answer[i], 1, true) then
    local set = sets[answer[i]]
    if set then redis.call('ZREM', set, id) else leave_wait(id, record) end
    if set == active then
      freed = true
      make_way(record)
    end
    finish(id, record, State.CANCELLED, reason)
    redis.call('HSET', states, id, pack(record))
    tell(id, State.CANCELLED, record[Record.progress], reason)
  end
end
write_finished()
if freed and redis.call('ZCARD', wait) > 0 and redis.call('HEXISTS', meta, 'paused') == 0 then redis.call('ZADD', marker, 0, '0') end
write_tally()
write_index()
publish()
return answer
