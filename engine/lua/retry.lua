-- Makes failed and cancelled jobs ready again, with all their attempts.
-- KEYS: meta wait failed cancelled states results marker
-- ARGV: names
-- names: packed ids
-- RETURNS: for each its state before (empty: there is no such job; P: its sensitive values are gone)
--- @include clock
--- @include record
--- @include events
local sets = { f = failed, x = cancelled }
local answer, ready = {}, false
for i, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = record and record[STATE] or ''
  local set = sets[answer[i]]
  if set and record[SECRET] == SECRET_PURGED then
    answer[i] = 'P'
  elseif set then
    redis.call('ZREM', set, id)
    redis.call('HDEL', results, id)
    record[STATE], record[FAILS], record[STALLS], record[UNKNOWN] = 'w', 0, 0, 0
    record[FINISHED], record[PROGRESS], record[EXPIRE], record[READY] = 0, 0, 0, now
    record[SEQ] = take_numbers(meta, 1)
    redis.call('ZADD', wait, wait_score(record), id)
    redis.call('HSET', states, id, pack(record))
    tell(id, 'w', 0, 'retried')
    ready = true
  end
end
if ready then redis.call('ZADD', marker, 0, '0') end
publish()
return answer
