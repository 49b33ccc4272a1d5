-- KEYS: meta wait delayed active jobs states secrets checkpoints marker
-- Leases ready jobs to a worker, within the queue's limits. Jobs that expired before their first start fail instead.

-- How many of `n` the limits admit, and the moment (ms) at which a refused caller may come again, 0 if unknown.
local function admitted(n, default_max_active)
  local limit = redis.call('HMGET', meta, 'paused', 'max_active', 'rate_max', 'rate_period', 'rate_began', 'rate_count')
  if limit[1] then return 0, 0 end
  local max_active = tonumber(limit[2] or default_max_active)
  if max_active > 0 then n = math.min(n, max_active - redis.call('ZCARD', active)) end
  local rate_max = tonumber(limit[3] or 0)
  if n > 0 and rate_max > 0 then
    local period = tonumber(limit[4])
    local began, count = tonumber(limit[5] or 0), tonumber(limit[6] or 0)
    if now >= began + period then began, count = now, 0 end
    n = math.min(n, rate_max - count, redis.call('ZCARD', wait))
    if rate_max - count <= 0 then return 0, began + period end
    if n > 0 then redis.call('HSET', meta, 'rate_began', began, 'rate_count', count + n) end
  end
  return math.max(n, 0), 0
end

-- When the next delayed job is due (ms), 0 if there is none.
local function first_due()
  local head = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  return head[2] and math.floor(tonumber(head[2]) / TIE) or 0
end

-- Answers flat rows: id, fence, fails, max, created, ready, envelope, secret, checkpoint; and ms until something is due.
local function claim(n, worker, lease, default_max_active)
  local due = first_due()
  if due > 0 and due <= now then
    promote()
    due = first_due()
  end
  local again
  n, again = admitted(n, default_max_active)
  if again > 0 and (due == 0 or again < due) then due = again end
  local due_in = due > 0 and math.max(due - now, 1) or 0
  if n <= 0 then return {}, due_in end
  local taken = take_waiting(n)
  if #taken == 0 then return {}, due_in end
  local envelopes = redis.call('HMGET', jobs, unpack(taken))
  local kept = redis.call('HMGET', states, unpack(taken))
  local rows, written, leases, size = {}, {}, {}, 0
  local expiry = string.format('%.0f', now + lease)
  for i, id in ipairs(taken) do
    if kept[i] and envelopes[i] then
      local record = unpack_record(kept[i])
      if record[EXPIRE] > 0 and now > record[EXPIRE] and record[STARTS] == 0 then
        finish(id, record, 'f', 'expired: it had not started by its expireAt')
        tell(id, 'f', record[PROGRESS], 'expired: it had not started by its expireAt')
      else
        record[STATE] = 'a'
        record[STARTS] = record[STARTS] + 1
        record[WORKER] = worker
        record[STARTED] = now
        leases[#leases + 1] = expiry
        leases[#leases + 1] = id
        rows[size + 1] = id
        rows[size + 2] = record[STARTS]
        rows[size + 3] = record[FAILS]
        rows[size + 4] = record[MAX]
        rows[size + 5] = record[CREATED]
        rows[size + 6] = record[READY]
        rows[size + 7] = envelopes[i]
        rows[size + 8] = record[SECRET] == SECRET_STORED and redis.call('HGET', secrets, id) or ''
        rows[size + 9] = record[CHECKPOINT] > 0 and redis.call('HGET', checkpoints, id) or ''
        size = size + 9
        tally_wait(now - record[READY])
        tell(id, 'a', record[PROGRESS], '')
      end
      written[#written + 1] = id
      written[#written + 1] = pack(record)
    end
  end
  if #written > 0 then redis.call('HSET', states, unpack(written)) end
  if #leases > 0 then redis.call('ZADD', active, unpack(leases)) end
  -- Fewer than were asked for: there are no more.
  if #taken == n and redis.call('ZCARD', wait) > 0 then redis.call('ZADD', marker, 0, '0') end
  return rows, due_in
end
