-- KEYS: wait parked parked_owners states
-- Waiting jobs that are set aside because their owner has reached its limit of active ones. When one of those leaves active, for
-- whatever reason, the owner's first parked job comes back to `wait` at its old place. So each is looked at once, however many there are.
-- `parked` is like `wait`. A member of `parked_owners` is owner, 0, place, id: an owner's jobs lie together, in the order in which
-- they start. Owners are escaped, so that none has the 0 that ends it; places are positive and of one length.
--- @include record
--- @include waiting
local PLACE_DIGITS, PLACE_ZERO = 16, 2251799813685248 -- 2^51, which no score exceeds
local ESCAPES = { ['\0'] = '\1\1', ['\1'] = '\1\2' }

local function owner_key(owner) return (string.gsub(owner, '[%z\1]', ESCAPES)) end
local function parked_member(id, record)
  return owner_key(record[Record.owner]) .. '\0' .. string.format('%016.0f', wait_score(record) + PLACE_ZERO) .. id
end

local function park(id, record)
  redis.call('ZADD', parked, wait_score(record), id)
  redis.call('ZADD', parked_owners, 0, parked_member(id, record))
  set_aside = true
end
local function leave_parked(id, record)
  redis.call('ZREM', parked, id)
  redis.call('ZREM', parked_owners, parked_member(id, record))
end

-- An owner's first parked job, by owner_key: member, score, id.
local function first_parked(key)
  local first = redis.call('ZRANGE', parked_owners, '[' .. key .. '\0', '(' .. key .. '\1', 'BYLEX', 'LIMIT', 0, 1)[1]
  if not first then return nil end
  local place = #key + 2
  return first, tonumber(string.sub(first, place, place + PLACE_DIGITS - 1)) - PLACE_ZERO, string.sub(first, place + PLACE_DIGITS)
end

-- Brings an owner's first parked job back; returns whether there was one. Entries of jobs that an older release has ended or
-- deleted are dropped.
local function unpark(key)
  while true do
    local member, score, id = first_parked(key)
    if not member then return false end
    redis.call('ZREM', parked, id)
    redis.call('ZREM', parked_owners, member)
    local kept = redis.call('HGET', states, id)
    if kept and unpack_record(kept)[Record.state] == State.WAITING then
      redis.call('ZADD', wait, score, id)
      return true
    end
  end
end

-- Brings back the first parked job of a job's owner.
local function unpark_next(record) return unpark(owner_key(record[Record.owner])) end
