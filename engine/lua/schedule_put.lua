-- Writes a schedule. Its slots count from now on when it is new or its times changed.
-- KEYS: records slots
-- ARGV: name record mode restart
-- mode: create (refused where there is one of that name) or update (refused where there is none)
-- RETURNS: 1 written, 0 refused
--- @include clock
local there = redis.call('HEXISTS', records, name) == 1
if there == (mode == 'create') then return 0 end
redis.call('HSET', records, name, record)
if restart == '1' then redis.call('HSET', slots, name, string.format('%.0f', now)) end
return 1
