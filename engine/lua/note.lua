-- What running jobs say: progress, steps, log lines, checkpoints. Refused for those that are no longer this worker's.
-- KEYS: states logs checkpoints
-- ARGV: worker items
-- FLAGS: allow-oom
-- items: packed rows of NoteItem
-- RETURNS: for each item '', or why it is no longer this worker's
--- @include clock
--- @include record
--- @include loss
--- @include events
local answer = {}
for i, item in ipairs(cmsgpack.unpack(items)) do
  local id = item[NoteItem.id]
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = loss(record, worker, item[NoteItem.fence])
  if answer[i] == '' then
    local changed = false
    if item[NoteItem.progress] >= 0 then
      record[Record.progress] = item[NoteItem.progress]
      changed = true
    end
    local messages, step = item[NoteItem.messages], false
    for m = 1, #messages, 2 do
      if messages[m] == 'log' then
        redis.call('HSET', logs, id .. ':' .. (record[Record.logs] % LOG_LINES), cmsgpack.pack(LogEntry { time = now, message = messages[m + 1] }))
        record[Record.logs] = record[Record.logs] + 1
        changed = true
        tell(id, State.ACTIVE, record[Record.progress], messages[m + 1], EventKind.LOG)
      else
        step = true
        tell(id, State.ACTIVE, record[Record.progress], messages[m + 1], EventKind.PROGRESS)
      end
    end
    if item[NoteItem.progress] >= 0 and not step then tell(id, State.ACTIVE, record[Record.progress], '', EventKind.PROGRESS) end
    if item[NoteItem.checkpoint] then
      redis.call('HSET', checkpoints, id, item[NoteItem.checkpoint])
      record[Record.checkpoint] = 1
      changed = true
    end
    if changed then redis.call('HSET', states, id, pack(record)) end
  end
end
publish()
return answer
