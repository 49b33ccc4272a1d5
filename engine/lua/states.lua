-- Where jobs stand.
-- KEYS: states
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: for each its state (empty: there is no such job), and what became of its secret
--- @include record
local answer = {}
for _, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[#answer + 1] = record and record[STATE] or ''
  answer[#answer + 1] = record and record[SECRET] or SECRET_NONE
end
return answer
