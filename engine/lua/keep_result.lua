-- Keeps a result under its subject, in place of an earlier one. Beyond `limit` the oldest are let go.
-- KEYS: results times
-- ARGV: subject result limit
-- RETURNS: now
--- @include clock
redis.call('HSET', results, subject, result)
redis.call('ZADD', times, now, subject)
local over = redis.call('ZCARD', times) - tonumber(limit)
if over > 0 then
  local old = redis.call('ZRANGE', times, 0, over - 1)
  redis.call('HDEL', results, unpack(old))
  redis.call('ZREM', times, unpack(old))
end
return now
