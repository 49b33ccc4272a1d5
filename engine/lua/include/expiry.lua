-- KEYS: states retained
-- What retention no longer keeps. Each function does a bounded step, and says whether there is more to do.
--- @include clock
--- @include record
--- @include finished_sets
--- @include drop
local EXPIRY_STEP = 200
local NAMES_STEP = 1000

-- Jobs whose own stay has ended are from then on kept like any other, at the place that they had.
local function end_stays()
  local due = redis.call('ZRANGE', retained, '-inf', now, 'BYSCORE', 'LIMIT', 0, EXPIRY_STEP)
  if #due == 0 then return false end
  for i, kept in ipairs(redis.call('HMGET', states, unpack(due))) do
    local record = kept and unpack_record(kept)
    local sets = record and finished_sets[record[Record.state]]
    local score = sets and redis.call('ZSCORE', sets.staying, due[i])
    if score then redis.call('ZADD', sets.all, score, due[i]) end
  end
  for _, sets in pairs(finished_sets) do redis.call('ZREM', sets.staying, unpack(due)) end
  redis.call('ZREM', retained, unpack(due))
  return #due == EXPIRY_STEP
end

-- Forgets the oldest: those past `age`, those past `min_age` beyond the newest `keep`, and those beyond the cap. Returns how many, too.
local function expire(state, keep, age, min_age)
  local set = finished_sets[state].all
  local count = redis.call('ZCARD', set)
  local aged = redis.call('ZCOUNT', set, '-inf', until_ms(now - math.max(age, min_age)))
  local surplus = math.min(redis.call('ZCOUNT', set, '-inf', until_ms(now - min_age)), count - keep)
  local wanted = math.max(aged, surplus, count - FINISHED_KEPT)
  if wanted <= 0 then return 0, false end
  local heads = redis.call('ZRANGE', set, 0, math.min(wanted, EXPIRY_STEP) - 1)
  local dropped, short = drop_finished(state, heads, true)
  return #dropped, short or wanted > EXPIRY_STEP
end

-- Forgets the names of `times` that are due, and their fields in `hash`.
local function expire_names(times, hash, due)
  local expired = redis.call('ZRANGE', times, '-inf', due, 'BYSCORE', 'LIMIT', 0, NAMES_STEP)
  if #expired == 0 then return false end
  redis.call('ZREM', times, unpack(expired))
  redis.call('HDEL', hash, unpack(expired))
  return #expired == NAMES_STEP
end
