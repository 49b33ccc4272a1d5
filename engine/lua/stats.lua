-- A queue at one instant.
-- KEYS: meta wait ready parked delayed active completed failed cancelled staying_completed staying_failed staying_cancelled rates events
-- FLAGS: allow-oom
-- RETURNS: now, waiting (with those set aside), delayed, active, completed, failed, cancelled, meta (flat), oldest ready ms (0: none), minute slots, last event,
-- set aside
--- @include clock
local counts = {}
for i, set in ipairs({ wait, delayed, active, completed, failed, cancelled }) do counts[i] = redis.call('ZCARD', set) end
for i, set in ipairs({ staying_completed, staying_failed, staying_cancelled }) do counts[i + 3] = counts[i + 3] + redis.call('ZCARD', set) end
local set_aside = redis.call('ZCARD', parked)
counts[1] = counts[1] + set_aside

local first = counts[1] > 0 and redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES') or {}
local oldest = tonumber(first[2] or 0)

local slots = {}
for _, slot in ipairs(redis.call('HVALS', rates)) do slots[#slots + 1] = slot end
local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
return {
  now, counts[1], counts[2], counts[3], counts[4], counts[5], counts[6],
  redis.call('HGETALL', meta), oldest, slots, last[1] and last[1][1] or '0-0', set_aside,
}
