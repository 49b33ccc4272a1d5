-- KEYS: events
-- Tells watchers what happened to jobs: in packed entries of EventEntry after EventEntry (field e) with the EventKind
-- of each event (field k). engine/event_entries.py reads them. Entries are bounded in number, and each in bytes.
local EVENTS_KEPT = 10000
local ENTRY_BYTES = 16384
local TEXT_KEPT = 200
local told, kinds, told_count, told_bytes = {}, {}, 0, 0

local function publish()
  if told_count > 0 then
    redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*', 'e', cmsgpack.pack(told), 'k', table.concat(kinds))
  end
  told, kinds, told_count, told_bytes = {}, {}, 0, 0
end

-- The first characters of a text, by UTF-8: a byte from 128 to 191 belongs to the one before.
local function shortened(text)
  local count, cut = 0, 1
  for place = 1, math.min(#text, TEXT_KEPT * 4 + 1) do
    local byte = string.byte(text, place)
    if byte < 128 or byte > 191 then
      count = count + 1
      if count == TEXT_KEPT then cut = place end
      if count > TEXT_KEPT then return string.sub(text, 1, cut - 1) .. '…' end
    end
  end
  return string.sub(text, 1, TEXT_KEPT * 4)
end

-- `kind`: a change of state where nothing else is said.
local function tell(id, state, progress, text, kind)
  if #text > TEXT_KEPT then text = shortened(text) end
  local at = told_count * #EventEntry
  told[at + EventEntry.id], told[at + EventEntry.state] = id, state
  told[at + EventEntry.progress], told[at + EventEntry.text] = progress, text
  told_count = told_count + 1
  kinds[told_count] = kind or EventKind.STATE
  told_bytes = told_bytes + #id + #text + 16
  if told_bytes >= ENTRY_BYTES then publish() end
end
