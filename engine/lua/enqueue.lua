-- Stores jobs that are not there yet. A full backlog refuses the rest of the rows; a full store refuses the script itself.
-- KEYS: meta wait delayed jobs states secrets ids marker
-- ARGV: rows max_backlog
-- rows: packed arrays of id, envelope, secret, type, owner, priority, delay, run_at, expire_at, attempts, exponential, backoff,
--       jitter, keep, digest, request, request_digest (see include/requests)
-- RETURNS: for each row a verdict (1 stored, 2 there already, 3 the id is taken, 4 backlog full, 5 the request id is taken), the id of
-- the job of an earlier request, the job's state (empty where it is gone and its id was the service's), created ms
--- @include clock
--- @include record
--- @include events
--- @include waiting
--- @include requests
--- @include index
local input = cmsgpack.unpack(rows)
local count = #input
local names = {}
for i, row in ipairs(input) do names[i] = row[1] end
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
    if entry[1] ~= digest then return 3, '', 0 end
    return 2, record and record[STATE] or entry[3], entry[2]
  end
  if not record then return nil end
  if #digest > 0 then return 3, '', 0 end
  return 2, record[STATE], record[CREATED]
end

-- The state of an earlier request's job; empty if it is gone and its id was the service's.
local function gone_or_held(id, record)
  local stored = not record and redis.call('HGET', states, id)
  record = record or (stored and unpack_record(stored))
  if record then return record[STATE] end
  local entry = redis.call('HGET', ids, id)
  return entry and cmsgpack.unpack(entry)[3] or ''
end

for i, row in ipairs(input) do
  local id, digest = row[1], row[15]
  local record = seen[id] or (kept[i] and unpack_record(kept[i]))
  local verdict, state, created, first
  if #row[16] > 0 then verdict, state, created, first = known_request(row[16], row[17]) end
  if first then
    id = first
    state = gone_or_held(id, seen[id])
  elseif not verdict then
    verdict, state, created = known(id, digest, record)
  end
  if not verdict and room <= 0 then
    verdict, state, created = 4, '', 0
  elseif not verdict then
    room = room - 1
    local ready_at = row[8] > 0 and math.max(row[8], now) or now + row[7]
    verdict, state, created = 1, ready_at > now and 'd' or 'w', now
    record = {
      state, 0, 0, row[10], row[6], row[11], row[12], row[13],
      '', now, ready_at, 0, 0, 0, number, row[9],
      row[14], 0, 0, #digest > 0 and 1 or 0, row[4], row[5], 0, #row[3] > 0 and SECRET_STORED or SECRET_NONE,
      0, 0, #row[2],
    }
    local at = #new_jobs
    new_jobs[at + 1], new_jobs[at + 2] = id, row[2]
    new_states[at + 1], new_states[at + 2] = id, pack(record)
    file_job(id, record)
    if #row[3] > 0 then
      new_secrets[#new_secrets + 1] = id
      new_secrets[#new_secrets + 1] = row[3]
    end
    if #digest > 0 then
      -- At once, so that a second row with this id in the same call finds it.
      redis.call('HSET', ids, id, cmsgpack.pack({ digest, now, state }))
    end
    if state == 'w' then
      enter_wait(id, record)
    else
      new_delayed[#new_delayed + 1] = timed(ready_at, number)
      new_delayed[#new_delayed + 1] = id
    end
    tell(id, state, 0, '')
    number = number + 1
    seen[id] = record
  end
  if #row[16] > 0 and not first and verdict <= 2 then note_request(row[16], row[17], id, created) end
  local at = i * 4
  answer[at - 3], answer[at - 2], answer[at - 1], answer[at] = verdict, first or '', state, created
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
