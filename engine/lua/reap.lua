-- Housekeeping of a queue: jobs whose lease ran out start again or, after three stalls, fail; due ones become ready; what
-- retention no longer keeps is forgotten. Bounded: call again while it answers more.
-- KEYS: meta wait active states ids gone requests request_times marker
-- ARGV: keep_completed keep_failed min_age completed_age failed_age per_owner
-- FLAGS: allow-oom
-- RETURNS: ids that stalled, jobs forgotten, 1 if there is more to do
--- @include clock
--- @include record
--- @include events
--- @include tally
--- @include index
--- @include finish
--- @include waiting
--- @include fail
--- @include failing
--- @include mend
--- @include readmit
--- @include promote
--- @include expiry
local MAX_STALLS = 3
local STEP = 200
local more = 0
if mend_waiting() then more = 1 end

promote()
local expired, stalled = redis.call('ZRANGE', active, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP), {}
if #expired == STEP then more = 1 end
for _, id in ipairs(expired) do
  redis.call('ZREM', active, id)
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  if record and record[Record.state] == State.ACTIVE then -- an entry that something else has left behind makes nothing run
    stalled[#stalled + 1] = id
    record[Record.stalls], record[Record.unknown_since] = record[Record.stalls] + 1, 0
    local reason = 'stalled: worker ' .. record[Record.worker] .. ' stopped renewing its lease'
    if record[Record.stalls] >= MAX_STALLS then
      reason = reason .. ', for the third time'
      add_failure(id, record, reason)
      fail(id, record, Cause.STALLED, reason)
    else
      record[Record.ready] = now
      enter_wait(id, record)
    end
    tell(id, record[Record.state], record[Record.progress], reason)
    redis.call('HSET', states, id, pack(record))
    make_way(record)
  end
end
write_waiting()
if readmit(tonumber(per_owner)) then more = 1 end
write_finished()

if end_stays() then more = 1 end
local forgotten = 0
for state, rule in pairs({
  [State.COMPLETED] = { keep = keep_completed, age = completed_age },
  [State.FAILED] = { keep = keep_failed, age = failed_age },
  [State.CANCELLED] = { keep = keep_failed, age = failed_age },
}) do
  local dropped, further = expire(state, tonumber(rule.keep), tonumber(rule.age), tonumber(min_age))
  forgotten = forgotten + dropped
  if further then more = 1 end
end
if expire_names(gone, ids, now) then more = 1 end
if expire_names(request_times, requests, now) then more = 1 end
if redis.call('ZCARD', wait) > 0 and redis.call('HEXISTS', meta, 'paused') == 0 then redis.call('ZADD', marker, 0, '0') end
write_tally()
write_index()
publish()
return { stalled, forgotten, more }
