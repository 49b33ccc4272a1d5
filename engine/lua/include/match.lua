-- KEYS: jobs states results failures
-- ARGV: filter begun_id begun
-- Whether jobs match: `filter` is packed states, type, owner, created_after, created_before, text. What is read is counted, also of jobs
-- that do not match, so that no script holds up the store. Sizes are asked for first: reading is what costs. A job of more text than one
-- call searches is searched in windows, one in each call: `begun` windows of `begun_id` were.
local want = cmsgpack.unpack(filter)
local MAX_BYTES = 262144
local looked_at, read_bytes, windows = 0, 0, 0

-- What a text may be in besides the job's id.
local function places(record)
  local found = { jobs }
  if record[STATE] ~= 'c' then found[2] = results end
  if record[FAILURES] > 0 then found[#found + 1] = failures end
  return found
end

local function contains(text)
  return string.find(text, want[6], 1, true) ~= nil
end

local function holds_text(id, record)
  if contains(id) then return true end
  for _, key in ipairs(places(record)) do
    if contains(redis.call('HGET', key, id) or '') then return true end
  end
  return false
end

-- The same in one window of a job's text, the one after those searched before; nil where there are more.
local function holds_text_in_window(id, record)
  if contains(id) then return true end
  local window = id == begun_id and tonumber(begun) or 0
  windows = window + 1
  for _, key in ipairs(places(record)) do
    local text = redis.call('HGET', key, id) or ''
    local first = window * MAX_BYTES + 1
    if first <= #text then
      -- With as much of the next window as a text across their border takes.
      if contains(string.sub(text, first, first + MAX_BYTES + #want[6] - 2)) then return true end
      return nil
    end
    window = window - math.ceil(#text / MAX_BYTES)
  end
  return false
end

local function fits(record)
  if want[1] ~= '' and not string.find(want[1], record[STATE], 1, true) then return false end
  if want[2] ~= '' and record[TYPE] ~= want[2] then return false end
  if want[3] ~= '' and record[OWNER] ~= want[3] then return false end
  if want[4] > 0 and record[CREATED] < want[4] then return false end
  return want[5] == 0 or record[CREATED] < want[5]
end

-- The job's record if it matches, else false; nil where reading it would be too much for this call.
local function look(id)
  local kept = redis.call('HGET', states, id)
  local record = kept and unpack_record(kept)
  if record and fits(record) then
    if want[6] == '' then
      looked_at = looked_at + 1
      return record
    end
    local size = 0
    for _, key in ipairs(places(record)) do size = size + redis.call('HSTRLEN', key, id) end
    if looked_at > 0 and read_bytes + size > MAX_BYTES then return nil end
    read_bytes = read_bytes + size
    local held
    if size > MAX_BYTES then held = holds_text_in_window(id, record) else held = holds_text(id, record) end
    if held == nil then return nil end
    windows = 0
    looked_at = looked_at + 1
    return held and record
  end
  looked_at = looked_at + 1
  return false
end
