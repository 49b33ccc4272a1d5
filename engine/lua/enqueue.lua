-- Stores jobs that are not there yet. A full backlog refuses the rest of the rows; a full store refuses the script itself.
-- KEYS: meta wait delayed jobs states secrets ids marker parked
-- ARGV: rows max_backlog
-- rows: packed rows of EnqueueRow
-- RETURNS: flat rows of EnqueueAnswer
--- @include clock
--- @include record
--- @include events
--- @include index
--- @include waiting
--- @include requests
local input = cmsgpack.unpack(rows)
local count = #input
local names = {}
for i, row in ipairs(input) do names[i] = row[EnqueueRow.id] end
local kept = redis.call('HMGET', states, unpack(names))
local room = tonumber(max_backlog)
-- While all jobs, ended ones included, are fewer than may wait, those that wait need no counting.
if redis.call('HLEN', states) + count > room then
  room = room - redis.call('ZCARD', wait) - redis.call('ZCARD', parked) - redis.call('ZCARD', delayed)
end
local number = take_numbers(meta, count)
local seen, answer = {}, {}
local new_jobs, new_states, new_secrets, new_ids, new_delayed = {}, {}, {}, {}, {}

-- What a row gets whose id was used before: verdict, state, created; nil if it was not.
local function known(id, digest, record)
  local entry = #digest > 0 and redis.call('HGET', ids, id)
  if entry then
    entry = cmsgpack.unpack(entry)
    if entry[KnownId.digest] ~= digest then return Verdict.ID_TAKEN, '', 0 end
    return Verdict.KNOWN, record and record[Record.state] or entry[KnownId.state], entry[KnownId.created]
  end
  if not record then return nil end
  if #digest > 0 then return Verdict.ID_TAKEN, '', 0 end
  return Verdict.KNOWN, record[Record.state], record[Record.created]
end

-- The state of an earlier request's job; empty if it is gone and its id was the service's.
local function gone_or_held(id, record)
  local stored = not record and redis.call('HGET', states, id)
  record = record or (stored and unpack_record(stored))
  if record then return record[Record.state] end
  local entry = redis.call('HGET', ids, id)
  return entry and cmsgpack.unpack(entry)[KnownId.state] or ''
end

for i, row in ipairs(input) do
  local id, digest = row[EnqueueRow.id], row[EnqueueRow.digest]
  local record = seen[id] or (kept[i] and unpack_record(kept[i]))
  local verdict, state, created, first
  if #row[EnqueueRow.request] > 0 then
    verdict, state, created, first = known_request(row[EnqueueRow.request], row[EnqueueRow.request_digest])
  end
  if first then
    id = first
    state = gone_or_held(id, seen[id])
  elseif not verdict then
    verdict, state, created = known(id, digest, record)
  end
  if not verdict and room <= 0 then
    verdict, state, created = Verdict.BACKLOG_FULL, '', 0
  elseif not verdict then
    room = room - 1
    local ready_at = row[EnqueueRow.run_at] > 0 and math.max(row[EnqueueRow.run_at], now) or now + row[EnqueueRow.delay]
    verdict, state, created = Verdict.STORED, ready_at > now and State.DELAYED or State.WAITING, now
    record = Record {
      state = state, starts = 0, fails = 0, max_attempts = row[EnqueueRow.attempts], priority = row[EnqueueRow.priority],
      exponential = row[EnqueueRow.exponential], backoff = row[EnqueueRow.backoff], jitter = row[EnqueueRow.jitter],
      worker = '', created = now, ready = ready_at, started = 0, finished = 0, stalls = 0, seq = number,
      expire_at = row[EnqueueRow.expire_at], keep = row[EnqueueRow.keep], progress = 0, logs = 0,
      custom = #digest > 0 and 1 or 0, type = row[EnqueueRow.type], owner = row[EnqueueRow.owner], unknown_since = 0,
      secret = #row[EnqueueRow.secret] > 0 and Secret.STORED or Secret.NONE, checkpoint = 0, failures = 0,
      size = #row[EnqueueRow.envelope],
    }
    local at = #new_jobs
    new_jobs[at + 1], new_jobs[at + 2] = id, row[EnqueueRow.envelope]
    new_states[at + 1], new_states[at + 2] = id, pack(record)
    file_job(id, record)
    if #row[EnqueueRow.secret] > 0 then
      new_secrets[#new_secrets + 1] = id
      new_secrets[#new_secrets + 1] = row[EnqueueRow.secret]
    end
    if #digest > 0 then
      -- At once, so that a second row with this id in the same call finds it.
      redis.call('HSET', ids, id, cmsgpack.pack(KnownId { digest = digest, created = now, state = state }))
    end
    if state == State.WAITING then
      enter_wait(id, record)
    else
      new_delayed[#new_delayed + 1] = timed(ready_at, number)
      new_delayed[#new_delayed + 1] = id
    end
    tell(id, state, 0, '')
    number = number + 1
    seen[id] = record
  end
  if #row[EnqueueRow.request] > 0 and not first and (verdict == Verdict.STORED or verdict == Verdict.KNOWN) then
    note_request(row[EnqueueRow.request], row[EnqueueRow.request_digest], id, created)
  end
  local at = (i - 1) * #EnqueueAnswer
  answer[at + EnqueueAnswer.verdict], answer[at + EnqueueAnswer.id] = verdict, first or ''
  answer[at + EnqueueAnswer.state], answer[at + EnqueueAnswer.created] = state, created
end

if #new_jobs > 0 then
  redis.call('HSET', jobs, unpack(new_jobs))
  redis.call('HSET', states, unpack(new_states))
end
if #new_secrets > 0 then redis.call('HSET', secrets, unpack(new_secrets)) end
local wake = write_waiting()
if #new_delayed > 0 then
  redis.call('ZADD', delayed, unpack(new_delayed))
  -- Workers sleep until the earliest due time they know of: wake one only if that moved.
  for i = 2, #new_delayed, 2 do
    if redis.call('ZRANK', delayed, new_delayed[i]) == 0 then wake = true end
  end
end
write_requests()
if wake then redis.call('ZADD', marker, 0, '0') end
write_index()
publish()
return answer
