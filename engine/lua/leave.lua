-- A worker process says that it ends.
-- KEYS: reports seen
-- ARGV: worker
-- FLAGS: allow-oom
-- RETURNS: 1
redis.call('ZREM', seen, worker)
redis.call('HDEL', reports, worker)
return 1
