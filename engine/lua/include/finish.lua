-- KEYS: meta secrets checkpoints results retained
-- Ends jobs: collects what ends in one script call and writes it at once.
--- @include clock
--- @include tally
--- @include index
--- @include finished_sets
local ended, ended_count, new_retained, outputs, purge, spent = {}, 0, {}, {}, {}, {}

-- Ends a job in its record, which the caller writes back. `write_finished` writes the rest.
local function finish(id, record, state, output)
  record[Record.state] = state
  record[Record.finished] = now
  file_job(id, record)
  if record[Record.secret] == Secret.STORED then
    record[Record.secret] = Secret.PURGED
    purge[#purge + 1] = id
  end
  if record[Record.checkpoint] > 0 then
    record[Record.checkpoint] = 0
    spent[#spent + 1] = id
  end
  if state == State.COMPLETED then record[Record.progress] = 100 end
  if #output > 0 then
    outputs[#outputs + 1] = id
    outputs[#outputs + 1] = output
  end
  local set = finished_sets[state].all
  if record[Record.keep] > 0 then
    set = finished_sets[state].staying
    new_retained[#new_retained + 1], new_retained[#new_retained + 2] = now + record[Record.keep], id
  end
  local entries = ended[set] or {}
  ended[set] = entries
  local at = #entries
  entries[at + 1], entries[at + 2] = ended_count, id
  ended_count = ended_count + 1
  tally_end(state)
end

-- Returns whether any jobs have ended.
local function write_finished()
  if ended_count == 0 then return false end
  local tie = redis.call('HINCRBY', meta, 'ended', ended_count) - ended_count
  for set, entries in pairs(ended) do
    for i = 1, #entries, 2 do entries[i] = timed(now, tie + entries[i]) end
    redis.call('ZADD', set, unpack(entries))
  end
  if #new_retained > 0 then redis.call('ZADD', retained, unpack(new_retained)) end
  if #outputs > 0 then redis.call('HSET', results, unpack(outputs)) end
  if #purge > 0 then redis.call('HDEL', secrets, unpack(purge)) end
  if #spent > 0 then redis.call('HDEL', checkpoints, unpack(spent)) end
  ended, ended_count, new_retained, outputs, purge, spent = {}, 0, {}, {}, {}, {}
  return true
end
