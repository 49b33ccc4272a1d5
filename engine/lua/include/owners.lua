-- KEYS: active states
--- @include record
--- @include parked
-- How many jobs of each owner run. Counted from the active jobs themselves, which are as many as workers have slots, so that it is
-- right whatever becomes of workers, and beside processes of an older release, which keep no count.
local function active_by_owner()
  local running, counts = redis.call('ZRANGE', active, 0, -1), {}
  for first = 1, #running, 1000 do
    local some = redis.call('HMGET', states, unpack(running, first, math.min(first + 999, #running)))
    for _, kept in ipairs(some) do
      if kept then
        local key = owner_key(unpack_record(kept)[Record.owner])
        counts[key] = (counts[key] or 0) + 1
      end
    end
  end
  return counts
end
