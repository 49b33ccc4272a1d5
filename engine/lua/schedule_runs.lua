-- The jobs that a schedule enqueued.
-- KEYS: records runs
-- ARGV: name
-- FLAGS: allow-oom
-- RETURNS: packed runs of RunEntry, oldest first (empty: none yet), or Change.MISSING
if redis.call('HEXISTS', records, name) == 0 then return Change.MISSING end
return redis.call('HGET', runs, name) or ''
