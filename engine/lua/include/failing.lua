-- KEYS: failures
-- What becomes of a job whose attempt did not complete.
--- @include index
--- @include finish
--- @include waiting
local UNKNOWN_MS = 600000
local FAILURES_KEPT = 100

-- Notes a failed attempt in the job's history.
local function add_failure(id, record, reason)
  local kept = record[FAILURES] > 0 and redis.call('HGET', failures, id)
  local history = kept and cmsgpack.unpack(kept) or {}
  if #history >= FAILURES_KEPT then table.remove(history, 1) end
  history[#history + 1] = { now, reason, record[WORKER] }
  record[FAILURES] = #history
  redis.call('HSET', failures, id, cmsgpack.pack(history))
end

local function backoff(record, delay)
  if delay >= 0 then return delay end
  local ms = record[BACKOFF]
  if record[EXPONENTIAL] == 1 then ms = math.min(ms * 2 ^ (record[FAILS] - 1), 86400000) end
  if record[JITTER] > 0 then ms = ms * (1 - record[JITTER] * math.random()) end
  return math.floor(ms)
end

-- Ends a job, makes it wait or delays it. The caller writes its record and, if it is delayed, its entry in `delayed`.
local function settle_incomplete(id, record, outcome, output, delay)
  if outcome == 'f' or outcome == 'g' then
    record[FAILS] = record[FAILS] + 1
    add_failure(id, record, output)
    tally_run(now - record[STARTED])
  end
  if outcome == 'u' then
    if record[UNKNOWN] == 0 then record[UNKNOWN] = now end
    if now - record[UNKNOWN] >= UNKNOWN_MS then outcome = 'g' end
  end
  if outcome == 'g' or (outcome == 'f' and record[FAILS] >= record[MAX]) then
    finish(id, record, 'f', output)
  else
    local pause = outcome == 'f' and backoff(record, delay) or outcome == 'r' and 0 or math.max(delay, 1)
    record[READY] = now + pause
    if pause > 0 then
      record[STATE] = 'd'
      file_job(id, record)
    else
      enter_wait(id, record)
    end
  end
  tell(id, record[STATE], record[PROGRESS], output)
end
