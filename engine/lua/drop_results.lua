-- Lets go of kept results that are at least `age` ms old, up to 500 of them.
-- KEYS: results times
-- ARGV: age
-- FLAGS: allow-oom
-- RETURNS: their subjects
--- @include clock
local old = redis.call('ZRANGE', times, '-inf', now - tonumber(age), 'BYSCORE', 'LIMIT', 0, 500)
if #old > 0 then
  redis.call('HDEL', results, unpack(old))
  redis.call('ZREM', times, unpack(old))
end
return old
