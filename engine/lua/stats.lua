-- A queue at one instant.
-- KEYS: meta wait ready parked delayed active completed failed cancelled staying_completed staying_failed staying_cancelled rates events
-- FLAGS: allow-oom
-- RETURNS: Statistics
--- @include clock
local set_aside = redis.call('ZCARD', parked)
local waiting = redis.call('ZCARD', wait) + set_aside
local first = waiting > 0 and redis.call('ZRANGE', ready, 0, 0, 'WITHSCORES') or {}
local slots = {}
for _, slot in ipairs(redis.call('HVALS', rates)) do slots[#slots + 1] = slot end
local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
return Statistics {
  now = now,
  waiting = waiting,
  delayed = redis.call('ZCARD', delayed),
  active = redis.call('ZCARD', active),
  completed = redis.call('ZCARD', completed) + redis.call('ZCARD', staying_completed),
  failed = redis.call('ZCARD', failed) + redis.call('ZCARD', staying_failed),
  cancelled = redis.call('ZCARD', cancelled) + redis.call('ZCARD', staying_cancelled),
  meta = redis.call('HGETALL', meta),
  oldest = tonumber(first[2] or 0),
  slots = slots,
  last_event = last[1] and last[1][1] or '0-0',
  set_aside = set_aside,
}
