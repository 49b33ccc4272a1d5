-- A worker process says that it lives. Those silent for ten minutes are forgotten.
-- KEYS: reports seen
-- ARGV: worker report
-- FLAGS: allow-oom
-- RETURNS: now
--- @include clock
redis.call('HSET', reports, worker, report)
redis.call('ZADD', seen, now, worker)
local silent = redis.call('ZRANGE', seen, '-inf', now - 600000, 'BYSCORE', 'LIMIT', 0, 100)
if #silent > 0 then
  redis.call('ZREM', seen, unpack(silent))
  redis.call('HDEL', reports, unpack(silent))
end
return now
