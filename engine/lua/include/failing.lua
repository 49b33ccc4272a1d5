-- KEYS: failures
-- What becomes of a job whose attempt did not complete.
--- @include clock
--- @include events
--- @include tally
--- @include index
--- @include fail
--- @include waiting
local UNKNOWN_MS = 600000
local FAILURES_KEPT = 100

-- Notes a failed attempt in the job's history.
local function add_failure(id, record, reason)
  local kept = record[Record.failures] > 0 and redis.call('HGET', failures, id)
  local history = kept and cmsgpack.unpack(kept) or {}
  if #history >= FAILURES_KEPT then table.remove(history, 1) end
  history[#history + 1] = FailureEntry { time = now, reason = reason, worker = record[Record.worker] }
  record[Record.failures] = #history
  redis.call('HSET', failures, id, cmsgpack.pack(history))
end

local function backoff(record, delay)
  if delay >= 0 then return delay end
  local ms = record[Record.backoff]
  if record[Record.exponential] == 1 then ms = math.min(ms * 2 ^ (record[Record.fails] - 1), 86400000) end
  if record[Record.jitter] > 0 then ms = ms * (1 - record[Record.jitter] * math.random()) end
  return math.floor(ms)
end

-- Ends a job, makes it wait or delays it. The caller writes its record and, if it is delayed, its entry in `delayed`.
local function settle_incomplete(id, record, outcome, output, delay, cause)
  if outcome == Outcome.FAIL or outcome == Outcome.FAIL_FOR_GOOD then
    record[Record.fails] = record[Record.fails] + 1
    add_failure(id, record, output)
    tally_run(now - record[Record.started])
  end
  if outcome == Outcome.UNKNOWN then
    if record[Record.unknown_since] == 0 then record[Record.unknown_since] = now end
    if now - record[Record.unknown_since] >= UNKNOWN_MS then outcome = Outcome.FAIL_FOR_GOOD end
  end
  if outcome == Outcome.FAIL_FOR_GOOD or (outcome == Outcome.FAIL and record[Record.fails] >= record[Record.max_attempts]) then
    fail(id, record, cause, output)
  else
    local pause = outcome == Outcome.FAIL and backoff(record, delay) or outcome == Outcome.RELEASE and 0 or math.max(delay, 1)
    record[Record.ready] = now + pause
    if pause > 0 then
      record[Record.state] = State.DELAYED
      file_job(id, record)
    else
      enter_wait(id, record)
    end
  end
  tell(id, record[Record.state], record[Record.progress], output)
end
