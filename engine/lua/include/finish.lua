-- KEYS: meta secrets checkpoints results
-- Ends jobs: collects what ends in one script call and writes it at once.
--- @include finished_sets
local ended, new_retained, outputs, purge, spent = {}, {}, {}, {}, {}

-- Ends a job in its record, which the caller writes back. `write_finished` writes the rest.
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
  local set = finished_sets[state].all
  if record[KEEP] > 0 then
    set = finished_sets[state].staying
    local at = #new_retained
    new_retained[at + 1], new_retained[at + 2] = now + record[KEEP], id
  end
  local names = ended[set] or {}
  ended[set] = names
  names[#names + 1] = id
  tally_end(state)
end

-- Returns whether any jobs have ended.
local function write_finished()
  if not next(ended) then return false end
  for set, names in pairs(ended) do
    local count, entries = #names, {}
    local tie = redis.call('HINCRBY', meta, 'ended', count) - count
    for i, id in ipairs(names) do
      entries[i * 2 - 1], entries[i * 2] = timed(now, tie + i), id
    end
    redis.call('ZADD', set, unpack(entries))
  end
  if #new_retained > 0 then redis.call('ZADD', retained, unpack(new_retained)) end
  if #outputs > 0 then redis.call('HSET', results, unpack(outputs)) end
  if #purge > 0 then redis.call('HDEL', secrets, unpack(purge)) end
  if #spent > 0 then redis.call('HDEL', checkpoints, unpack(spent)) end
  ended, new_retained, outputs, purge, spent = {}, {}, {}, {}, {}
  return true
end
