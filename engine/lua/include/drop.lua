-- KEYS: jobs states secrets results failures checkpoints logs ids gone
-- Forgets jobs that have left their state's set. An id of a caller's own stays known for a day.
--- @include retention
local GONE_MS = 86400000

local function drop(dropped, records)
  if #dropped == 0 then return end
  local secret, failed, checkpointed, lines = {}, {}, {}, {}
  for i, id in ipairs(dropped) do
    local record = records[i]
    if record then
      unfile_job(id, record)
      if record[SECRET] == SECRET_STORED then secret[#secret + 1] = id end
      if record[FAILURES] > 0 then failed[#failed + 1] = id end
      if record[CHECKPOINT] > 0 then checkpointed[#checkpointed + 1] = id end
      for n = 0, math.min(record[LOGS], LOG_LINES) - 1 do lines[#lines + 1] = id .. ':' .. n end
      if record[CUSTOM] > 0 then
        local known = redis.call('HGET', ids, id)
        if known then
          local entry = cmsgpack.unpack(known)
          entry[3] = record[STATE]
          redis.call('HSET', ids, id, cmsgpack.pack(entry))
          redis.call('ZADD', gone, now + GONE_MS, id)
        end
      end
    end
  end
  redis.call('HDEL', jobs, unpack(dropped))
  redis.call('HDEL', states, unpack(dropped))
  redis.call('HDEL', results, unpack(dropped))
  if #secret > 0 then redis.call('HDEL', secrets, unpack(secret)) end
  if #failed > 0 then redis.call('HDEL', failures, unpack(failed)) end
  if #checkpointed > 0 then redis.call('HDEL', checkpoints, unpack(checkpointed)) end
  for first = 1, #lines, 1000 do
    redis.call('HDEL', logs, unpack(lines, first, math.min(first + 999, #lines)))
  end
end

-- Forgets finished jobs of one state; returns how many. What an older release has left of a job that is not in this state any more,
-- goes without it.
local function drop_finished(state, names)
  if #names == 0 then return 0 end
  local dropped, records = {}, {}
  for i, kept in ipairs(redis.call('HMGET', states, unpack(names))) do
    local record = kept and unpack_record(kept)
    if not record or record[STATE] == state then
      dropped[#dropped + 1] = names[i]
      records[#dropped] = record
    end
  end
  leave_finished(state, names)
  drop(dropped, records)
  return #dropped
end
