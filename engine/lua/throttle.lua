-- Takes the next place in an even stream of so many a minute, over all callers; one too far off is not taken.
-- KEYS: throttle
-- ARGV: per_minute patience
-- FLAGS: allow-oom
-- patience: the longest wait that the caller accepts, in microseconds
-- RETURNS: microseconds until the place, and 1 where it was taken
--- @include clock
local now_us = time[1] * 1000000 + time[2]
local interval = 60000000 / tonumber(per_minute)
local place = math.max(now_us, tonumber(redis.call('GET', throttle) or '0'))
local wait = math.ceil(place - now_us)
if wait > tonumber(patience) then return { wait, 0 } end
-- Kept only until the stream is free again. Written in full: Lua's own way to print a number drops digits.
redis.call('SET', throttle, string.format('%.0f', place + interval), 'PX', math.ceil((wait + interval) / 1000) + 1000)
return { wait, 1 }
