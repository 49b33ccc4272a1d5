-- What running jobs say: progress, steps, log lines, checkpoints. Refused for those that are no longer this worker's.
-- KEYS: states logs checkpoints
-- ARGV: worker items
-- FLAGS: allow-oom
-- items: packed arrays of id, fence, progress (-1: unchanged), messages (kind, text, kind, text ...), checkpoint (or false)
-- RETURNS: for each item '', or why it is no longer this worker's
--- @include clock
--- @include record
--- @include loss
--- @include events
local answer = {}
for i, item in ipairs(cmsgpack.unpack(items)) do
  local id = item[1]
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  answer[i] = loss(record, worker, item[2])
  if answer[i] == '' then
    local changed = false
    if item[3] >= 0 then
      record[PROGRESS] = item[3]
      changed = true
    end
    local messages, step = item[4], false
    for m = 1, #messages, 2 do
      if messages[m] == 'log' then
        redis.call('HSET', logs, id .. ':' .. (record[LOGS] % LOG_LINES), cmsgpack.pack({ now, messages[m + 1] }))
        record[LOGS] = record[LOGS] + 1
        changed = true
        tell(id, 'a', record[PROGRESS], messages[m + 1], 'l')
      else
        step = true
        tell(id, 'a', record[PROGRESS], messages[m + 1], 'p')
      end
    end
    if item[3] >= 0 and not step then tell(id, 'a', record[PROGRESS], '', 'p') end
    if item[5] then
      redis.call('HSET', checkpoints, id, item[5])
      record[CHECKPOINT] = 1
      changed = true
    end
    if changed then redis.call('HSET', states, id, pack(record)) end
  end
end
publish()
return answer
