-- A result that is kept.
-- KEYS: results
-- ARGV: subject
-- FLAGS: allow-oom
-- RETURNS: the result, or false
return redis.call('HGET', results, subject)
