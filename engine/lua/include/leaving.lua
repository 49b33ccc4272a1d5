-- KEYS: wait ready
--- @include waiting
--- @include parked
-- A job that leaves in another way than by its start, when it might have been the next of its owner's.
local function leave_wait(id, record)
  if redis.call('ZREM', wait, id) == 1 then make_way(record) else leave_parked(id, record) end
  redis.call('ZREM', ready, id)
end
