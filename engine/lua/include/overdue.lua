-- KEYS: states
-- Fails jobs whose latest moment to start has passed. Returns whether any jobs are parked: some of them may wait again by now.
--- @include record
--- @include events
--- @include index
--- @include finish
--- @include fail
--- @include waiting
local REASON = 'expired: it had not started by its expireAt'

local function fail_overdue(ids, records)
  local written = {}
  for i, id in ipairs(ids) do
    local record = records[i]
    fail(id, record, Cause.EXPIRED, REASON)
    tell(id, State.FAILED, record[Record.progress], REASON)
    written[i * 2 - 1], written[i * 2] = id, pack(record)
    make_way(record)
  end
  redis.call('HSET', states, unpack(written))
  write_finished()
  write_index()
  return any_parked()
end
