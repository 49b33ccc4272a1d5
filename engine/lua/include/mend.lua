-- KEYS: meta wait ready parked states
-- Puts right what a release without `ready` has changed: adds jobs that wait, and takes out those that no longer do. One step;
-- returns whether there is more.
--- @include record
local MENDED = 500

local function records_of(names)
  local records = {}
  if #names > 0 then
    for i, kept in ipairs(redis.call('HMGET', states, unpack(names))) do records[i] = kept and unpack_record(kept) end
  end
  return records
end

local function mend_waiting()
  local known, waiting = redis.call('ZCARD', ready), redis.call('ZCARD', wait) + redis.call('ZCARD', parked)
  if known == waiting then return false end
  local heads, stale = redis.call('ZRANGE', ready, 0, MENDED - 1), {}
  local records = records_of(heads)
  for i, id in ipairs(heads) do
    if not (records[i] and records[i][Record.state] == State.WAITING) then stale[#stale + 1] = id end
  end
  if #stale > 0 then known = known - redis.call('ZREM', ready, unpack(stale)) end
  if known >= waiting then return #stale == MENDED end
  local step = redis.call('ZSCAN', wait, redis.call('HGET', meta, 'mended') or '0', 'COUNT', MENDED)
  redis.call('HSET', meta, 'mended', step[1])
  local names, entries = {}, {}
  for i = 1, #step[2], 2 do names[#names + 1] = step[2][i] end
  records = records_of(names)
  for i, id in ipairs(names) do
    if records[i] then entries[#entries + 1], entries[#entries + 2] = records[i][Record.ready], id end
  end
  if #entries > 0 then redis.call('ZADD', ready, unpack(entries)) end
  return step[1] ~= '0'
end
