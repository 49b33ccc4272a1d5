-- One step along the jobs of one state in the order of its own set: which of them match. Bounded in jobs and in bytes read.
-- KEYS: wait parked delayed completed failed cancelled
-- ARGV: filter state after_score after_id backwards wanted scan
-- FLAGS: allow-oom
-- filter: see include/match; state: its letter; after_score, after_id: the place to go on after, or empty
-- RETURNS: 1, now, jobs looked at, the place it came to (score, space, id), 1 if the end was reached, then for each match id, score,
-- state, what became of its secret
--- @include clock
--- @include record
--- @include match
local descending = backwards == '1'
-- Jobs that are set aside keep their score, and so their place, when they come back to the others.
local sets = ({ w = { wait, parked }, d = { delayed }, c = { completed }, f = { failed }, x = { cancelled } })[state] or {}
local PIECE = math.min(tonumber(scan), tonumber(wanted) + 1)

-- Whether an id comes after another where both have one score: by their bytes, as the sets have it.
local function beyond(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- The rank to begin at. The job of the place may be gone, and thousands may share its score: so it is searched for among them.
local function start(key)
  if after_id == '' then return descending and redis.call('ZCARD', key) - 1 or 0 end
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. after_score)
  local high = redis.call('ZCOUNT', key, '-inf', after_score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local id = redis.call('ZRANGE', key, middle, middle)[1]
    if beyond(id, after_id) or (descending and id == after_id) then high = middle else low = middle + 1 end
  end
  return descending and low - 1 or low
end

local function refill(from)
  local found = {}
  if descending and from.rank >= 0 then
    found = redis.call('ZRANGE', from.key, math.max(from.rank - PIECE + 1, 0), from.rank, 'WITHSCORES')
  elseif not descending then
    found = redis.call('ZRANGE', from.key, from.rank, from.rank + PIECE - 1, 'WITHSCORES')
  end
  from.jobs, from.at = {}, 1
  local first, last, by = 1, #found - 1, 2
  if descending then first, last, by = last, 1, -2 end
  for i = first, last, by do
    from.jobs[#from.jobs + 1] = { id = found[i], text = found[i + 1], score = tonumber(found[i + 1]) }
  end
  from.rank = from.rank + (descending and -#from.jobs or #from.jobs)
end

local function head(from)
  if from.at > #from.jobs then refill(from) end
  return from.jobs[from.at]
end

local cursors = {}
for i, key in ipairs(sets) do cursors[i] = { key = key, rank = start(key), jobs = {}, at = 1 } end

local function next_cursor()
  local first, first_job
  for _, from in ipairs(cursors) do
    local job = head(from)
    local sooner = job and not first_job
    if job and first_job then
      if job.score == first_job.score then sooner = beyond(first_job.id, job.id) else sooner = job.score < first_job.score end
      if descending then sooner = not sooner end
    end
    if sooner then first, first_job = from, job end
  end
  return first, first_job
end

local answer, rows = { 1, now, 0, after_id ~= '' and after_score .. ' ' .. after_id or '', 0 }, 0
while true do
  local from, job = next_cursor()
  if not job then
    answer[5] = 1
    break
  end
  if rows >= tonumber(wanted) or looked_at >= tonumber(scan) then break end
  local record = look(job.id)
  if record == nil then break end
  from.at = from.at + 1
  answer[4] = job.text .. ' ' .. job.id
  if record then
    answer[#answer + 1] = job.id
    answer[#answer + 1] = job.text
    answer[#answer + 1] = record[STATE]
    answer[#answer + 1] = record[SECRET]
    rows = rows + 1
  end
end
answer[3] = looked_at
return answer
