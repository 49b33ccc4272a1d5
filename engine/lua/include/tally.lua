-- KEYS: meta rates
-- Counts which jobs ended, and how long they waited and ran: exact totals, and a slot for each minute with logarithmic buckets.
--- @include clock
local SLOTS = 6
local tally = { [State.COMPLETED] = 0, [State.FAILED] = 0, [State.CANCELLED] = 0, waits = {}, runs = {}, any = false }

local floor, log, BUCKETS = math.floor, math.log, 4 / math.log(2)

local function bucket(ms)
  return floor(log(ms > 0 and ms + 1 or 1) * BUCKETS)
end
local function tally_wait(ms)
  local b = bucket(ms)
  tally.waits[b] = (tally.waits[b] or 0) + 1
  tally.any = true
end
local function tally_run(ms)
  local b = bucket(ms)
  tally.runs[b] = (tally.runs[b] or 0) + 1
  tally.any = true
end
local function tally_end(state)
  tally[state] = tally[state] + 1
  tally.any = true
end
local function merge(into, from)
  for number, count in pairs(from) do
    local b = tostring(number)
    into[b] = (into[b] or 0) + count
  end
end
local function write_tally()
  if not tally.any then return end
  for _, state in ipairs({ State.COMPLETED, State.FAILED, State.CANCELLED }) do
    if tally[state] > 0 then redis.call('HINCRBY', meta, 'total_' .. state, tally[state]) end
  end
  local minute = math.floor(now / 60000)
  local place = tostring(minute % SLOTS)
  local kept = redis.call('HGET', rates, place)
  local slot = kept and cmsgpack.unpack(kept)
  if not slot or slot[MinuteSlot.minute] ~= minute then
    slot = MinuteSlot { minute = minute, completed = 0, failed = 0, cancelled = 0, waits = {}, runs = {} }
  end
  slot[MinuteSlot.completed] = slot[MinuteSlot.completed] + tally[State.COMPLETED]
  slot[MinuteSlot.failed] = slot[MinuteSlot.failed] + tally[State.FAILED]
  slot[MinuteSlot.cancelled] = slot[MinuteSlot.cancelled] + tally[State.CANCELLED]
  merge(slot[MinuteSlot.waits], tally.waits)
  merge(slot[MinuteSlot.runs], tally.runs)
  redis.call('HSET', rates, place, cmsgpack.pack(slot))
end
