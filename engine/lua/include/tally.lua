-- KEYS: meta rates
-- Counts which jobs ended, and how long they waited and ran: exact totals, and a slot for each minute with logarithmic buckets.
local SLOTS = 6
local tally = { c = 0, f = 0, x = 0, waits = {}, runs = {}, any = false }

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
  for _, state in ipairs({ 'c', 'f', 'x' }) do
    if tally[state] > 0 then redis.call('HINCRBY', meta, 'total_' .. state, tally[state]) end
  end
  local minute = math.floor(now / 60000)
  local place = tostring(minute % SLOTS)
  local kept = redis.call('HGET', rates, place)
  local slot = kept and cmsgpack.unpack(kept)
  if not slot or slot[1] ~= minute then slot = { minute, 0, 0, 0, {}, {} } end
  slot[2] = slot[2] + tally.c
  slot[3] = slot[3] + tally.f
  slot[4] = slot[4] + tally.x
  merge(slot[5], tally.waits)
  merge(slot[6], tally.runs)
  redis.call('HSET', rates, place, cmsgpack.pack(slot))
end
