-- The key that download links are signed with, which is made once for the store and shared by all processes.
-- KEYS: signing
-- ARGV: fresh
-- FLAGS: allow-oom
-- fresh: random bytes, which become the key where there is none yet
-- RETURNS: the key
redis.call('SET', signing, fresh, 'NX')
return redis.call('GET', signing)
