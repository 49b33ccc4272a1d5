-- KEYS: meta parked_owners
-- Brings back parked jobs that nothing else would: after the limit was raised or lifted, and beside processes of an older
-- release, which end jobs without making way for the next. One step; returns whether there is more.
--- @include waiting
--- @include parked
--- @include owners
local READMITTED = 500

local function parked_after(place)
  local first = redis.call('ZRANGE', parked_owners, place == '' and '-' or '(' .. place, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
  return first and string.match(first, '^[^%z]*')
end

local function readmit(per_owner)
  if not any_parked() then return false end
  local counts = per_owner > 0 and active_by_owner() or {}
  local place, moved = redis.call('HGET', meta, 'readmitted') or '', 0
  while moved < READMITTED do
    local key = parked_after(place)
    if not key then
      redis.call('HDEL', meta, 'readmitted')
      return per_owner == 0 and redis.call('EXISTS', parked_owners) == 1
    end
    local room = per_owner == 0 and READMITTED or per_owner - (counts[key] or 0)
    while room > 0 and moved < READMITTED and unpark(key) do
      room, moved = room - 1, moved + 1
    end
    moved = moved + 1
    place = key .. '\1'
  end
  redis.call('HSET', meta, 'readmitted', place)
  return true
end
