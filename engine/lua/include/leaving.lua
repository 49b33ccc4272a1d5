-- KEYS: wait ready
--- @include waiting
--- @include parked
-- Takes out a waiting job that will not start. It might have been its owner's next, so another one takes its place.
local function leave_wait(id, record)
  if redis.call('ZREM', wait, id) == 1 then make_way(record) else leave_parked(id, record) end
  redis.call('ZREM', ready, id)
end
