-- One step through the jobs of a queue, along one of its sets, keeping those that match. Bounded in jobs and bytes.
-- KEYS: wait parked delayed active completed failed cancelled all jobs states results failures
-- ARGV: set backwards after wanted scan filter
-- FLAGS: allow-oom
-- set: a state's letter, p for waiting jobs that are set aside, or all; after: the score to go on after, or empty; filter: packed states, type, owner, created_after,
-- created_before, text; wanted: rows to answer at most; scan: jobs to look at most
-- RETURNS: the score that it came to, 1 if the set's end was reached, then for each match id, state, envelope, result, failures
--- @include record
local sets = { w = wait, p = parked, d = delayed, a = active, c = completed, f = failed, x = cancelled, all = all }
local want = cmsgpack.unpack(filter)
local MAX_BYTES = 1048576

-- No set is kept for blocked jobs, as there are none yet.
if not sets[set] then return { after, 1 } end
local first = after == '' and (backwards == '1' and '+inf' or '-inf') or '(' .. after
local found
if backwards == '1' then
  found = redis.call('ZRANGE', sets[set], first, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, tonumber(scan), 'WITHSCORES')
else
  found = redis.call('ZRANGE', sets[set], first, '+inf', 'BYSCORE', 'LIMIT', 0, tonumber(scan), 'WITHSCORES')
end

local function holds_text(id, envelope, result, history, record)
  if string.find(id, want[6], 1, true) or string.find(envelope, want[6], 1, true) then return true end
  if record[STATE] ~= 'c' and result and string.find(result, want[6], 1, true) then return true end
  return history and string.find(history, want[6], 1, true)
end

local function fits(record)
  if want[1] ~= '' and not string.find(want[1], record[STATE], 1, true) then return false end
  if want[2] ~= '' and record[TYPE] ~= want[2] then return false end
  if want[3] ~= '' and record[OWNER] ~= want[3] then return false end
  if want[4] > 0 and record[CREATED] < want[4] then return false end
  if want[5] > 0 and record[CREATED] >= want[5] then return false end
  return true
end

local names = {}
for i = 1, #found, 2 do names[#names + 1] = found[i] end
local answer = { after, #names < tonumber(scan) and 1 or 0 }
if #names == 0 then return answer end
local kept = redis.call('HMGET', states, unpack(names))
local rows, bytes = 0, 0
for i, id in ipairs(names) do
  if rows >= tonumber(wanted) or bytes >= MAX_BYTES then
    answer[2] = 0
    return answer
  end
  answer[1] = found[i * 2]
  local record = kept[i] and unpack_record(kept[i])
  if record and fits(record) then
    local envelope = redis.call('HGET', jobs, id) or ''
    local result = redis.call('HGET', results, id)
    local history = record[FAILURES] > 0 and redis.call('HGET', failures, id)
    if want[6] == '' or holds_text(id, envelope, result, history, record) then
      answer[#answer + 1] = id
      answer[#answer + 1] = kept[i]
      answer[#answer + 1] = envelope
      answer[#answer + 1] = result
      answer[#answer + 1] = history
      rows = rows + 1
      bytes = bytes + #envelope + (result and #result or 0)
    end
  end
end
return answer
