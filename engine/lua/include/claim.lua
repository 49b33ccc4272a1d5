-- KEYS: meta wait ready delayed active jobs states secrets checkpoints marker
-- Leases ready jobs to a worker, within the queue's limits. Jobs that expired before their first start fail instead, and jobs
-- whose owner has reached its limit of active ones are parked.
--- @include clock
--- @include record
--- @include events
--- @include tally
--- @lazy promote: promote
--- @lazy room: has_room
--- @lazy overdue: fail_overdue
local CLAIM_LOOK = 500 -- jobs that one call looks at, however few of them may start
local CLAIM_BYTES = 1000000 -- of envelopes, secrets and checkpoints that one call answers; a single job may be larger

-- How many of `n` the limits admit; the moment (ms) at which a refused caller may come again, 0 if unknown; and, where the
-- rate is limited, a function that counts the jobs that were started.
local function admitted(n, default_max_active)
  local limit = redis.call('HMGET', meta, 'paused', 'max_active', 'rate_max', 'rate_period', 'rate_began', 'rate_count')
  if limit[1] then return 0, 0 end
  local max_active = tonumber(limit[2] or default_max_active)
  if max_active > 0 then n = math.min(n, max_active - redis.call('ZCARD', active)) end
  local rate_max = tonumber(limit[3] or 0)
  if n <= 0 or rate_max <= 0 then return math.max(n, 0), 0 end
  local period = tonumber(limit[4])
  local began, count = tonumber(limit[5] or 0), tonumber(limit[6] or 0)
  if now >= began + period then began, count = now, 0 end
  if count >= rate_max then return 0, began + period end
  return math.min(n, rate_max - count), 0, function(started)
    if started > 0 then redis.call('HSET', meta, 'rate_began', began, 'rate_count', count + started) end
  end
end

-- When the next delayed job is due (ms), 0 if there is none.
local function first_due()
  local head = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  return head[2] and math.floor(tonumber(head[2]) / TIE) or 0
end

local function bytes_of(id, record)
  local bytes = record[Record.size] or redis.call('HSTRLEN', jobs, id)
  if record[Record.secret] == Secret.STORED then bytes = bytes + redis.call('HSTRLEN', secrets, id) end
  if record[Record.checkpoint] > 0 then bytes = bytes + redis.call('HSTRLEN', checkpoints, id) end
  return bytes
end

-- Takes up to `n` jobs that may start out of the waiting ones. Returns their ids, their records, and whether more may wait: those
-- that were not looked at, and parked ones that were brought back meanwhile.
local function take(n, per_owner)
  local ids, records, others, back = {}, {}, {}, {}
  local count, looked, bytes, full, some_parked, asked, popped, room = 0, 0, 0, false, false, 0, nil, true
  repeat
    asked = math.min(n - count, CLAIM_LOOK - looked)
    popped = redis.call('ZPOPMIN', wait, asked)
    looked = looked + #popped / 2
    local names, overdue, overdue_records = {}, {}, {}
    for i = 1, #popped, 2 do names[#names + 1] = popped[i] end
    local kept = #names > 0 and redis.call('HMGET', states, unpack(names)) or {}
    for i, id in ipairs(names) do
      local record = kept[i] and unpack_record(kept[i])
      local score = tonumber(popped[i * 2])
      local size = record and not full and bytes_of(id, record) or 0
      full = full or (count > 0 and bytes + size > CLAIM_BYTES)
      if full then
        back[#back + 1], back[#back + 2] = score, id
      elseif not record or record[Record.state] ~= State.WAITING then -- an older release may have left it behind
        others[#others + 1] = id
      elseif record[Record.expire_at] > 0 and now > record[Record.expire_at] and record[Record.starts] == 0 then
        overdue[#overdue + 1], overdue_records[#overdue + 1], others[#others + 1] = id, record, id
      else
        if per_owner > 0 then room, some_parked = has_room(id, record, score, per_owner) end
        if room then
          count, bytes = count + 1, bytes + size
          ids[count], records[count] = id, record
        end
      end
    end
    -- At once, so that the next round can take what this brings back.
    if #overdue > 0 then some_parked = fail_overdue(overdue, overdue_records) or some_parked end
  until full or #names < asked or count == n or looked == CLAIM_LOOK
  if #back > 0 then redis.call('ZADD', wait, unpack(back)) end
  if count > 0 then redis.call('ZREM', ready, unpack(ids)) end
  if #others > 0 then redis.call('ZREM', ready, unpack(others)) end
  return ids, records, (full or #popped == asked * 2 or some_parked) and redis.call('ZCARD', wait) > 0
end

-- Returns flat rows of ClaimedRow; and ms until something is due, 0 for unknown.
local function claim(n, worker, lease, default_max_active, per_owner)
  local due = first_due()
  if due > 0 and due <= now then
    promote()
    due = first_due()
  end
  local again, count_started
  n, again, count_started = admitted(n, default_max_active)
  if again > 0 and (due == 0 or again < due) then due = again end
  local due_in = due > 0 and math.max(due - now, 1) or 0
  if n <= 0 then return {}, due_in end
  local ids, records, more = take(n, per_owner)
  if more then redis.call('ZADD', marker, 0, '0') end
  if count_started then count_started(#ids) end
  if #ids == 0 then return {}, due_in end
  local envelopes = redis.call('HMGET', jobs, unpack(ids))
  local rows, written, leases, size = {}, {}, {}, 0
  local expiry = string.format('%.0f', now + lease)
  for i, id in ipairs(ids) do
    local record = records[i]
    record[Record.state] = State.ACTIVE
    record[Record.starts] = record[Record.starts] + 1
    record[Record.worker] = worker
    record[Record.started] = now
    leases[i * 2 - 1], leases[i * 2] = expiry, id
    written[i * 2 - 1], written[i * 2] = id, pack(record)
    rows[size + ClaimedRow.id] = id
    rows[size + ClaimedRow.fence] = record[Record.starts]
    rows[size + ClaimedRow.fails] = record[Record.fails]
    rows[size + ClaimedRow.max_attempts] = record[Record.max_attempts]
    rows[size + ClaimedRow.created] = record[Record.created]
    rows[size + ClaimedRow.ready] = record[Record.ready]
    rows[size + ClaimedRow.envelope] = envelopes[i]
    rows[size + ClaimedRow.secret] = record[Record.secret] == Secret.STORED and redis.call('HGET', secrets, id) or ''
    rows[size + ClaimedRow.checkpoint] = record[Record.checkpoint] > 0 and redis.call('HGET', checkpoints, id) or ''
    size = size + #ClaimedRow
    tally_wait(now - record[Record.ready])
    tell(id, State.ACTIVE, record[Record.progress], '')
  end
  redis.call('HSET', states, unpack(written))
  redis.call('ZADD', active, unpack(leases))
  return rows, due_in
end
