-- KEYS: meta wait ready states
-- Files waiting jobs under `ready` that a release before it moved, and takes out those that no longer wait. A step of it.
local MENDED = 500

local function mend_waiting()
  local known, waiting = redis.call('ZCARD', ready), redis.call('ZCARD', wait)
  if known == waiting then return false end
  local stale = {}
  local heads = redis.call('ZRANGE', ready, 0, MENDED - 1)
  if #heads > 0 then
    for i, score in ipairs(redis.call('ZMSCORE', wait, unpack(heads))) do
      if not score then stale[#stale + 1] = heads[i] end
    end
  end
  if #stale > 0 then known = known - redis.call('ZREM', ready, unpack(stale)) end
  if known >= waiting then return #stale == MENDED end
  local step = redis.call('ZSCAN', wait, redis.call('HGET', meta, 'mended') or '0', 'COUNT', MENDED)
  redis.call('HSET', meta, 'mended', step[1])
  local names, entries = {}, {}
  for i = 1, #step[2], 2 do names[#names + 1] = step[2][i] end
  if #names > 0 then
    for i, kept in ipairs(redis.call('HMGET', states, unpack(names))) do
      if kept then
        entries[#entries + 1] = unpack_record(kept)[READY]
        entries[#entries + 1] = names[i]
      end
    end
  end
  if #entries > 0 then redis.call('ZADD', ready, unpack(entries)) end
  return step[1] ~= '0'
end
