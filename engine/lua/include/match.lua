-- KEYS: jobs states results failures
-- ARGV: filter begun_id begun
-- Whether jobs match: `filter` is a packed Filter. What is read is counted, also of jobs
-- that do not match, so that no script holds up the store. Sizes are asked for first: reading is what costs. A job with more text than
-- one call searches is searched in windows, one a call: those before `begun` were, of the job `begun_id`.
--- @include record
local conditions = cmsgpack.unpack(filter)
local wanted_states, wanted_type, wanted_owner = conditions[Filter.states], conditions[Filter.type], conditions[Filter.owner]
local created_after, created_before = conditions[Filter.created_after], conditions[Filter.created_before]
local wanted_text = conditions[Filter.text]
local MAX_BYTES = 262144
local looked_at, read_bytes, windows = 0, 0, 0

-- The hashes whose fields are searched, besides the job's id.
local function places(record)
  local found = { jobs }
  if record[Record.state] ~= State.COMPLETED then found[2] = results end
  if record[Record.failures] > 0 then found[#found + 1] = failures end
  return found
end

local function contains(text)
  return string.find(text, wanted_text, 1, true) ~= nil
end

local function holds_text(id, record)
  if contains(id) then return true end
  for _, key in ipairs(places(record)) do
    if contains(redis.call('HGET', key, id) or '') then return true end
  end
  return false
end

-- The same for the next window of a job's text; nil if there are further ones.
local function holds_text_in_window(id, record)
  if contains(id) then return true end
  local window = id == begun_id and tonumber(begun) or 0
  windows = window + 1
  for _, key in ipairs(places(record)) do
    local first, size = window * MAX_BYTES + 1, redis.call('HSTRLEN', key, id)
    if first <= size then
      -- With as much of the next window as a match across their border needs.
      local last = first + MAX_BYTES + #wanted_text - 2
      if contains(string.sub(redis.call('HGET', key, id), first, last)) then return true end
      return nil
    end
    window = window - math.ceil(size / MAX_BYTES)
  end
  return false
end

local function fits(record)
  if wanted_states ~= '' and not string.find(wanted_states, record[Record.state], 1, true) then return false end
  if wanted_type ~= '' and record[Record.type] ~= wanted_type then return false end
  if wanted_owner ~= '' and record[Record.owner] ~= wanted_owner then return false end
  if created_after > 0 and record[Record.created] < created_after then return false end
  return created_before == 0 or record[Record.created] < created_before
end

-- Whether a job has the text, as far as this call may still read; nil where it may not read all of it.
local function holds_text_within_bounds(id, record)
  local size = 0
  for _, key in ipairs(places(record)) do size = size + redis.call('HSTRLEN', key, id) end
  if looked_at > 0 and read_bytes + size > MAX_BYTES then return nil end
  read_bytes = read_bytes + size
  if size <= MAX_BYTES then return holds_text(id, record) end
  local held = holds_text_in_window(id, record)
  if held ~= nil then windows = 0 end
  return held
end

-- The job's record if it matches, else false; nil where reading it would be too much for this call.
local function look(id)
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  local matches = record and fits(record)
  if matches and wanted_text ~= '' then matches = holds_text_within_bounds(id, record) end
  if matches == nil then return nil end
  looked_at = looked_at + 1
  return matches and record
end
