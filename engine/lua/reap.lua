-- Housekeeping of a queue: jobs whose lease ran out start again or, after three stalls, fail; due ones become ready; what
-- retention no longer keeps is forgotten. Bounded: call again while it answers more.
-- KEYS: meta wait delayed active completed failed cancelled all jobs states secrets results failures checkpoints logs ids gone marker
-- ARGV: keep_completed keep_failed min_age completed_age failed_age
-- FLAGS: allow-oom
-- RETURNS: ids that stalled, jobs forgotten, 1 if there is more to do
--- @include clock
--- @include record
--- @include events
--- @include tally
--- @include drop
--- @include finish
--- @include waiting
--- @include mend
--- @include promote
local MAX_STALLS = 3
local STEP = 200
local LOOK = 5000
local more = mend_waiting() and 1 or 0

promote()
local stalled = redis.call('ZRANGE', active, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
if #stalled == STEP then more = 1 end
for _, id in ipairs(stalled) do
  redis.call('ZREM', active, id)
  local kept = redis.call('HGET', states, id)
  if kept then
    local record = unpack_record(kept)
    record[STALLS], record[UNKNOWN] = record[STALLS] + 1, 0
    local reason = 'stalled: worker ' .. record[WORKER] .. ' stopped renewing its lease'
    if record[STALLS] >= MAX_STALLS then
      reason = reason .. ', for the third time'
      add_failure(id, record, reason)
      finish(id, record, 'f', reason)
    else
      record[READY] = now
      enter_wait(id, record)
    end
    tell(id, record[STATE], record[PROGRESS], reason)
    redis.call('HSET', states, id, pack(record))
  end
end
write_waiting()
write_finished()

-- Oldest first: those past `age` go, and those past the minimum age go while there are more than `keep`. A job may ask for a longer
-- stay of its own.
local function retain(set, keep, age)
  local over = redis.call('ZCARD', set) - tonumber(keep)
  local newest = until_ms(now - math.min(tonumber(min_age), tonumber(age)))
  local dropped, offset = {}, 0
  while #dropped < STEP and offset < LOOK do
    local old = redis.call('ZRANGE', set, '-inf', newest, 'BYSCORE', 'LIMIT', offset, STEP, 'WITHSCORES')
    if #old == 0 then break end
    local names = {}
    for i = 1, #old, 2 do names[#names + 1] = old[i] end
    for i, kept in ipairs(redis.call('HMGET', states, unpack(names))) do
      local ended = math.floor(tonumber(old[i * 2]) / TIE)
      local record = kept and unpack_record(kept)
      local stays = record and now - ended < record[KEEP]
      if not stays and (#dropped < over or now - ended >= tonumber(age)) then dropped[#dropped + 1] = names[i] end
    end
    if #dropped == 0 and over <= 0 then break end
    offset = offset + STEP
  end
  if #dropped >= STEP then more = 1 end
  return drop_from(set, dropped)
end

local forgotten = retain(completed, keep_completed, completed_age)
  + retain(failed, keep_failed, failed_age)
  + retain(cancelled, keep_failed, failed_age)

local expired = redis.call('ZRANGE', gone, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
if #expired > 0 then
  redis.call('ZREM', gone, unpack(expired))
  redis.call('HDEL', ids, unpack(expired))
  if #expired == STEP then more = 1 end
end
if redis.call('ZCARD', wait) > 0 and redis.call('HEXISTS', meta, 'paused') == 0 then redis.call('ZADD', marker, 0, '0') end
write_tally()
publish()
return { stalled, forgotten, more }
