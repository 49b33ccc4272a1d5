-- KEYS: events
-- One script call writes one packed entry: id, state, progress, message, id, state, ... engine/events.py reads it.
local EVENTS_KEPT = 10000
local told, told_count = {}, 0

local function tell(id, state, progress, message)
  told[told_count + 1] = id
  told[told_count + 2] = state
  told[told_count + 3] = progress
  told[told_count + 4] = message
  told_count = told_count + 4
end
local function publish()
  if told_count > 0 then
    redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*', 'e', cmsgpack.pack(told))
  end
end
