-- KEYS: jobs states results failures
-- ARGV: filter
-- Whether jobs match: `filter` is packed states, type, owner, created_after, created_before, text. What is read is counted, also of jobs
-- that do not match, so that no script holds up the store. Sizes are asked for first: reading is what costs.
local want = cmsgpack.unpack(filter)
local MAX_BYTES = 524288
local looked_at, read_bytes = 0, 0

local function holds_text(id, record)
  if string.find(id, want[6], 1, true) or string.find(redis.call('HGET', jobs, id) or '', want[6], 1, true) then return true end
  if record[STATE] ~= 'c' and string.find(redis.call('HGET', results, id) or '', want[6], 1, true) then return true end
  return record[FAILURES] > 0 and string.find(redis.call('HGET', failures, id) or '', want[6], 1, true)
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
    local size = redis.call('HSTRLEN', jobs, id)
    if record[STATE] ~= 'c' then size = size + redis.call('HSTRLEN', results, id) end
    if record[FAILURES] > 0 then size = size + redis.call('HSTRLEN', failures, id) end
    if read_bytes > 0 and read_bytes + size > MAX_BYTES then return nil end
    read_bytes = read_bytes + size
    looked_at = looked_at + 1
    return holds_text(id, record) and record or false
  end
  looked_at = looked_at + 1
  return false
end
