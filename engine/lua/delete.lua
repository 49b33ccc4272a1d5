-- Removes jobs that do not run, and all that is kept of them. Stops when that has been much: call again with the rest.
-- KEYS: delayed states
-- ARGV: names admits reason
-- FLAGS: allow-oom
-- names: packed ids; admits: letters of the states in which a job is removed, of all but a
-- RETURNS: for each, as far as it came, its state before (empty: there is no such job)
--- @include record
--- @include events
--- @include index
--- @include retention
--- @include drop
--- @include leaving
local answer = {}
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  local state = record and record[Record.state] or ''
  if record and string.find(admits, state, 1, true) then
    if not may_drop(id, record) then break end
    if state == State.WAITING then
      leave_wait(id, record)
    elseif state == State.DELAYED then
      redis.call('ZREM', delayed, id)
    else
      leave_finished(state, { id })
    end
    drop({ id }, { record })
    tell(id, EventKind.REMOVED, record[Record.progress], reason ~= '' and 'deleted: ' .. reason or 'deleted')
  end
  answer[i] = state
end
write_index()
publish()
return answer
