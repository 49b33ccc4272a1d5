-- KEYS: delayed states
--- @include clock
--- @include record
--- @include events
--- @include index
--- @include waiting
-- Makes the delayed jobs ready whose time has come, at most 200 in a call.
local function promote()
  local due = redis.call('ZRANGE', delayed, '-inf', until_ms(now), 'BYSCORE', 'LIMIT', 0, 200)
  if #due == 0 then return end
  local kept = redis.call('HMGET', states, unpack(due))
  local written = {}
  for i, id in ipairs(due) do
    local record = kept[i] and unpack_record(kept[i])
    if record and record[Record.state] == State.DELAYED then -- an entry that something else has left behind makes nothing run
      enter_wait(id, record)
      file_job(id, record)
      written[#written + 1] = id
      written[#written + 1] = pack(record)
      tell(id, State.WAITING, record[Record.progress], '')
    end
  end
  redis.call('ZREM', delayed, unpack(due))
  if write_waiting() then redis.call('HSET', states, unpack(written)) end
  write_index()
end
