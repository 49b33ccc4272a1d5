-- KEYS: meta secrets checkpoints results failures
-- Ends jobs: collects what ends in one script call and writes it at once.
--- @include finished_sets
local finished = { c = {}, f = {}, x = {} }
local staying, new_retained = { c = {}, f = {}, x = {} }, {}
local finished_count = 0
local purge, spent, outputs = {}, {}, {}

-- Notes a failed attempt in the job's history.
local function add_failure(id, record, reason)
  local kept = record[FAILURES] > 0 and redis.call('HGET', failures, id)
  local history = kept and cmsgpack.unpack(kept) or {}
  if #history >= 100 then table.remove(history, 1) end
  history[#history + 1] = { now, reason, record[WORKER] }
  record[FAILURES] = #history
  redis.call('HSET', failures, id, cmsgpack.pack(history))
end

-- The record is changed; the caller writes it back.
local function finish(id, record, state, output)
  record[STATE] = state
  record[FINISHED] = now
  file_job(id, record)
  if record[SECRET] == SECRET_STORED then
    record[SECRET] = SECRET_PURGED
    purge[#purge + 1] = id
  end
  if record[CHECKPOINT] > 0 then
    record[CHECKPOINT] = 0
    spent[#spent + 1] = id
  end
  if state == 'c' then record[PROGRESS] = 100 end
  if #output > 0 then
    outputs[#outputs + 1] = id
    outputs[#outputs + 1] = output
  end
  local ended = finished[state]
  if record[KEEP] > 0 then
    ended = staying[state]
    local at = #new_retained
    new_retained[at + 1], new_retained[at + 2] = now + record[KEEP], id
  end
  ended[#ended + 1] = id
  finished_count = finished_count + 1
  tally_end(state)
end

local function write_finished()
  if finished_count == 0 then return end
  local tie = redis.call('HINCRBY', meta, 'ended', finished_count) - finished_count
  local function write(set, ended)
    if #ended == 0 then return end
    local entries = {}
    for i, id in ipairs(ended) do
      entries[i * 2 - 1], entries[i * 2] = timed(now, tie), id
      tie = tie + 1
    end
    redis.call('ZADD', set, unpack(entries))
  end
  for state, sets in pairs(finished_sets) do
    write(sets.all, finished[state])
    write(sets.staying, staying[state])
  end
  if #new_retained > 0 then redis.call('ZADD', retained, unpack(new_retained)) end
  if #outputs > 0 then redis.call('HSET', results, unpack(outputs)) end
  if #purge > 0 then redis.call('HDEL', secrets, unpack(purge)) end
  if #spent > 0 then redis.call('HDEL', checkpoints, unpack(spent)) end
end
