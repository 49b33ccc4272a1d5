-- All schedules.
-- KEYS: records slots fired
-- FLAGS: allow-oom
-- RETURNS: now, then flat rows: name, record, what its slots count from (ms), the slot fired last (ms, 0 for none)
--- @include clock
local answer = { now }
local flat = redis.call('HGETALL', records)
for i = 1, #flat, 2 do
  answer[#answer + 1] = flat[i]
  answer[#answer + 1] = flat[i + 1]
  answer[#answer + 1] = redis.call('HGET', slots, flat[i]) or '0'
  answer[#answer + 1] = redis.call('HGET', fired, flat[i]) or '0'
end
return answer
