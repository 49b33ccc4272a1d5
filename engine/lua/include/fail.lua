-- KEYS: jobs
--- @include finish
-- Ends a job that failed for good; `cause` is one of Cause in engine/jobs.py. As with `finish`, the caller writes its record.
local function fail(id, record, cause, reason)
  -- The cause is behind the size, and a packed array has no gaps.
  if not record[Record.size] then record[Record.size] = redis.call('HSTRLEN', jobs, id) end
  record[Record.cause] = cause
  finish(id, record, State.FAILED, reason)
end
