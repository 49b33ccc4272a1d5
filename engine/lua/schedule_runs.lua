-- The jobs that a schedule enqueued.
-- KEYS: records runs
-- ARGV: name
-- FLAGS: allow-oom
-- RETURNS: packed runs, oldest first (empty: none yet), or -1 where there is no such schedule
if redis.call('HEXISTS', records, name) == 0 then return -1 end
return redis.call('HGET', runs, name) or ''
