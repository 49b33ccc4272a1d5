-- Settles the attempts that a worker ended, and leases it as many ready jobs as it has room for, in one step.
-- KEYS: meta wait delayed active states marker
-- ARGV: items n worker lease default_max_active per_owner
-- FLAGS: allow-oom
-- per_owner: the most active jobs of one owner, 0 for no limit
-- items: packed rows of SettleItem, at least one
-- RETURNS: claimed rows (see include/claim), ids that were no longer this worker's, each with why not, ms until something is due
--- @include clock
--- @include record
--- @include loss
--- @include events
--- @include tally
--- @include index
--- @include finished_sets
--- @include finish
--- @include waiting
--- @include claim
--- @lazy failing: settle_incomplete
--- @lazy drop: drop_finished

local lost, left, written, new_delayed, settled = {}, {}, {}, {}, 0

local function settle(id, record, outcome, output, delay, cause)
  -- UNKNOWN_MS is measured from the first of the starts in a row whose worker did not know the type.
  if outcome ~= Outcome.UNKNOWN then record[Record.unknown_since] = 0 end
  if outcome ~= Outcome.COMPLETE then
    settle_incomplete(id, record, outcome, output, delay, cause)
    if record[Record.state] == State.DELAYED then
      new_delayed[#new_delayed + 1] = timed(record[Record.ready], record[Record.seq])
      new_delayed[#new_delayed + 1] = id
    end
    return
  end
  finish(id, record, State.COMPLETED, output)
  tally_run(now - record[Record.started])
  tell(id, State.COMPLETED, 100, '')
end

local input, names = cmsgpack.unpack(items), {}
for i, item in ipairs(input) do names[i] = item[SettleItem.id] end
local kept = redis.call('HMGET', states, unpack(names))
for i, item in ipairs(input) do
  local record = kept[i] and unpack_record(kept[i])
  local why = loss(record, worker, item[SettleItem.fence])
  if why ~= '' then
    lost[#lost + 1] = item[SettleItem.id]
    lost[#lost + 1] = why
  else
    local outcome, output = item[SettleItem.outcome], item[SettleItem.output]
    settle(item[SettleItem.id], record, outcome, output, item[SettleItem.delay], item[SettleItem.cause])
    settled = settled + 1
    left[settled], written[settled * 2 - 1], written[settled * 2] = item[SettleItem.id], item[SettleItem.id], pack(record)
    make_way(record)
  end
end
if settled > 0 then
  redis.call('ZREM', active, unpack(left))
  redis.call('HSET', states, unpack(written))
end
write_waiting()
if #new_delayed > 0 then
  redis.call('ZADD', delayed, unpack(new_delayed))
  redis.call('ZADD', marker, 0, '0')
end

local wanted = tonumber(n)
local rows, due_in = {}, 0
if wanted > 0 then
  rows, due_in = claim(wanted, worker, tonumber(lease), default_max_active, tonumber(per_owner))
elseif settled > 0 and redis.call('HEXISTS', meta, 'paused') == 0 and redis.call('ZCARD', wait) > 0 then
  -- A slot came free under the queue's limits that this worker does not fill.
  redis.call('ZADD', marker, 0, '0')
end
if write_finished() then
  for _, state in ipairs({ State.COMPLETED, State.FAILED }) do
    local set = finished_sets[state].all
    local over = redis.call('ZCARD', set) - FINISHED_KEPT
    if over > 0 then drop_finished(state, redis.call('ZRANGE', set, 0, math.min(over, 300) - 1), true) end
  end
end
write_tally()
write_index()
publish()
return { rows, lost, due_in }
