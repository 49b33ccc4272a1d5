-- A queue at one instant.
-- KEYS: meta wait delayed active completed failed cancelled states rates events
-- FLAGS: allow-oom
-- RETURNS: now, waiting, delayed, active, completed, failed, cancelled, meta (flat), oldest ready ms (0: none), minute slots, last event
--- @include clock
--- @include record
local counts = {}
for i, set in ipairs({ wait, delayed, active, completed, failed, cancelled }) do counts[i] = redis.call('ZCARD', set) end

-- Each priority is first in, first out, so the oldest job is the first of one of them.
local oldest, after, band = 0, '-inf', 0
while counts[1] > 0 and band < 64 do
  local first = redis.call('ZRANGE', wait, after, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if #first == 0 then break end
  local kept = redis.call('HGET', states, first[1])
  if kept then
    local record = unpack_record(kept)
    if oldest == 0 or record[READY] < oldest then oldest = record[READY] end
    after = string.format('%.0f', (1 - record[PRIORITY]) * PRIORITY_STEP)
  else
    after = '(' .. first[2]
  end
  band = band + 1
end

local slots = {}
for _, slot in ipairs(redis.call('HVALS', rates)) do slots[#slots + 1] = slot end
local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
return {
  now, counts[1], counts[2], counts[3], counts[4], counts[5], counts[6],
  redis.call('HGETALL', meta), oldest, slots, last[1] and last[1][1] or '0-0',
}
