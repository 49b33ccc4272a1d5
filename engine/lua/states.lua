-- Where jobs stand.
-- KEYS: states
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: flat rows of StateRow
--- @include record
local answer = {}
for _, id in ipairs(cmsgpack.unpack(names)) do
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  local at = #answer
  answer[at + StateRow.state] = record and record[Record.state] or ''
  answer[at + StateRow.secret] = record and record[Record.secret] or Secret.NONE
end
return answer
