-- Forgets a schedule.
-- KEYS: records slots runs fired
-- ARGV: name
-- FLAGS: allow-oom
-- RETURNS: 1, or 0 where there is none
redis.call('HDEL', slots, name)
redis.call('HDEL', runs, name)
redis.call('HDEL', fired, name)
return redis.call('HDEL', records, name)
