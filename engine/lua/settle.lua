-- Settles the attempts that a worker ended, and leases it as many ready jobs as it has room for, in one step.
-- KEYS: meta wait delayed active jobs states results marker secrets failures checkpoints logs ids gone
-- ARGV: items n worker lease default_max_active per_owner
-- FLAGS: allow-oom
-- per_owner: the most active jobs of one owner, 0 for no limit
-- items: packed arrays of id, fence, outcome, output, delay (see Outcome in engine/jobs.py)
-- RETURNS: claimed rows (see include/claim), ids that were no longer this worker's, each with why not, ms until something is due
--- @include clock
--- @include record
--- @include loss
--- @include events
--- @include tally
--- @include index
--- @include finish
--- @include waiting
--- @include promote
--- @include claim
--- @lazy drop: drop_finished
local UNKNOWN_MS = 600000

local input = cmsgpack.unpack(items)
local lost, left, written, new_delayed = {}, {}, {}, {}

local function again(id, record, delay)
  if delay > 0 then
    record[STATE] = 'd'
    record[READY] = now + delay
    file_job(id, record)
    new_delayed[#new_delayed + 1] = timed(now + delay, record[SEQ])
    new_delayed[#new_delayed + 1] = id
  else
    record[READY] = now
    enter_wait(id, record)
  end
end

local function backoff(record, delay)
  if delay >= 0 then return delay end
  local ms = record[BACKOFF]
  if record[EXPONENTIAL] == 1 then ms = math.min(ms * 2 ^ (record[FAILS] - 1), 86400000) end
  if record[JITTER] > 0 then ms = ms * (1 - record[JITTER] * math.random()) end
  return math.floor(ms)
end

local function settle(id, record, outcome, output, delay)
  -- The ten minutes are those of workers that do not know the type, one after the other.
  if outcome ~= 'u' then record[UNKNOWN] = 0 end
  if outcome == 'c' then
    finish(id, record, 'c', output)
    tally_run(now - record[STARTED])
    tell(id, 'c', 100, '')
    return
  end
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
  elseif outcome == 'f' then
    again(id, record, backoff(record, delay))
  elseif outcome == 'r' then
    again(id, record, 0)
  else
    again(id, record, math.max(delay, 1))
  end
  tell(id, record[STATE], record[PROGRESS], output)
end

if #input > 0 then
  local names = {}
  for i, item in ipairs(input) do names[i] = item[1] end
  local kept = redis.call('HMGET', states, unpack(names))
  for i, item in ipairs(input) do
    local record = kept[i] and unpack_record(kept[i])
    local why = loss(record, worker, item[2])
    if why ~= '' then
      lost[#lost + 1] = item[1]
      lost[#lost + 1] = why
    else
      left[#left + 1] = item[1]
      settle(item[1], record, item[3], item[4], item[5])
      written[#written + 1] = item[1]
      written[#written + 1] = pack(record)
      make_way(record)
    end
  end
  if #left > 0 then
    redis.call('ZREM', active, unpack(left))
    redis.call('HSET', states, unpack(written))
  end
  write_waiting()
  if #new_delayed > 0 then
    redis.call('ZADD', delayed, unpack(new_delayed))
    redis.call('ZADD', marker, 0, '0')
  end
end

local wanted = tonumber(n)
local rows, due_in = {}, 0
if wanted > 0 then
  rows, due_in = claim(wanted, worker, tonumber(lease), default_max_active, tonumber(per_owner))
elseif #left > 0 and redis.call('HEXISTS', meta, 'paused') == 0 and redis.call('ZCARD', wait) > 0 then
  -- A slot came free under the queue's limits that this worker does not fill.
  redis.call('ZADD', marker, 0, '0')
end
write_finished()
if finished_count > 0 then
  for _, state in ipairs({ 'c', 'f' }) do
    local set = finished_sets[state].all
    local over = redis.call('ZCARD', set) - FINISHED_KEPT
    if over > 0 then drop_finished(state, redis.call('ZRANGE', set, 0, math.min(over, 300) - 1), true) end
  end
end
write_tally()
write_index()
publish()
return { rows, lost, due_in }
