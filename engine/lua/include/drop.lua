-- KEYS: jobs states secrets results failures checkpoints logs ids gone
-- Forgets jobs that have left their state's set. An id of a caller's own stays known for a day.
--- @include clock
--- @include record
--- @include index
--- @include retention
local GONE_MS = 86400000
-- The most that one call forgets: log lines are removed one by one, and large values take long to free.
local DROP_JOBS, DROP_LINES, DROP_BYTES = 300, 1000, 25000000
local forgotten_jobs, forgotten_lines, forgotten_bytes = 0, 0, 0

-- Whether this call may forget one more job; if so, counts it. The first may be of any size.
local function may_drop(id, record)
  if forgotten_jobs >= DROP_JOBS or forgotten_lines >= DROP_LINES or forgotten_bytes >= DROP_BYTES then return false end
  forgotten_jobs = forgotten_jobs + 1
  forgotten_lines = forgotten_lines + math.min(record[Record.logs], LOG_LINES)
  forgotten_bytes = forgotten_bytes + (record[Record.size] or redis.call('HSTRLEN', jobs, id)) + redis.call('HSTRLEN', results, id)
  return true
end

local function unfile_job(id, record)
  local at = #gone_ids + 1
  gone_ids[at], gone_places[at] = id, owned_member(id, record)
end

local function drop(dropped, records)
  if #dropped == 0 then return end
  local secret, failed, checkpointed, lines = {}, {}, {}, {}
  for i, id in ipairs(dropped) do
    local record = records[i]
    if record then
      unfile_job(id, record)
      if record[Record.secret] == Secret.STORED then secret[#secret + 1] = id end
      if record[Record.failures] > 0 then failed[#failed + 1] = id end
      if record[Record.checkpoint] > 0 then checkpointed[#checkpointed + 1] = id end
      for n = 0, math.min(record[Record.logs], LOG_LINES) - 1 do lines[#lines + 1] = id .. ':' .. n end
      if record[Record.custom] > 0 then
        local known = redis.call('HGET', ids, id)
        if known then
          local entry = cmsgpack.unpack(known)
          entry[KnownId.state] = record[Record.state]
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

-- Forgets finished jobs of one state, in order, as many as one call may. Returns which, and whether it stopped short. With `spare`,
-- those with a stay of their own are set apart instead. Where an older release has left an entry of a job that has another state by
-- now, the entry goes and the job stays.
local function drop_finished(state, names, spare)
  if #names == 0 then return {}, false end
  local dropped, records, leaving, seen = {}, {}, {}, 0
  for i, kept in ipairs(redis.call('HMGET', states, unpack(names))) do
    local record = kept and unpack_record(kept)
    if not (spare and record and record[Record.state] == state and set_apart(names[i], record)) then
      if not record or record[Record.state] == state then
        if record and not may_drop(names[i], record) then break end
        dropped[#dropped + 1] = names[i]
        records[#dropped] = record
      end
      leaving[#leaving + 1] = names[i]
    end
    seen = i
  end
  if #leaving > 0 then leave_finished(state, leaving) end
  drop(dropped, records)
  return dropped, seen < #names
end
