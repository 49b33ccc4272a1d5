-- One step of bringing the indexes into line with the records. A store of the first layout has no indexes, and its processes,
-- which may run beside this one for a while, write each new job's id into `all`, and file no change. So: ids in `all` are filed
-- and taken out; a queue without the mark of this layout, or whose indexes hold too much or too little, is swept whole: every
-- record is filed, then what no record stands for is taken out. Bounded: call again while it answers more.
-- KEYS: meta all states wait parked delayed active index owned
-- ARGV: look
-- FLAGS: allow-oom
-- look: 1 to compare the sizes of index and sets, too, which tells what older processes have moved
-- RETURNS: 1 if there is more to do
--- @include record
--- @include index
--- @include finished_sets
--- @include retention
local STEP = 200

local function file(id, kept)
  if not kept then return end
  local record = unpack_record(kept)
  file_job(id, record)
  if finished_sets[record[Record.state]] then set_apart(id, record) end
end

-- 1. What older processes have enqueued.
local arrived = redis.call('ZPOPMIN', all, STEP)
if #arrived > 0 then
  local names = {}
  for i = 1, #arrived, 2 do names[#names + 1] = arrived[i] end
  for i, kept in ipairs(redis.call('HMGET', states, unpack(names))) do file(names[i], kept) end
  write_index()
  if #names == STEP then return 1 end
end

local function held(set) return redis.call('ZCARD', set) end
local function crowded()
  local jobs_held = redis.call('HLEN', states)
  return redis.call('ZCARD', index) > jobs_held or redis.call('ZCARD', owned) > jobs_held
end
local function astray()
  local counts = { held(wait) + held(parked) + held(active), held(delayed), 0, 0, 0 }
  for state, sets in pairs(finished_sets) do counts[CLASS[state]] = held(sets.all) + held(sets.staying) end
  for class, count in ipairs(counts) do
    local first, past = class * CLASS_STEP, string.format('(%.0f', (class + 1) * CLASS_STEP)
    if redis.call('ZCOUNT', index, first, past) ~= count then return true end
  end
  return redis.call('ZCARD', owned) ~= redis.call('ZCARD', index)
end

-- 2. The sweep: what is swept (see Sweep in engine/schema.py), and a cursor.
local sweep = redis.call('HGET', meta, 'sweep')
if not sweep then
  if redis.call('HGET', meta, 'layout') == LAYOUT and not (look == '1' and astray()) then return 0 end
  sweep = Sweep.RECORDS .. '0'
end
local stage, from = string.sub(sweep, 1, 1), string.sub(sweep, 2)

local function sweep_records()
  local found = redis.call('HSCAN', states, from, 'COUNT', STEP)
  for i = 1, #found[2], 2 do file(found[2][i], found[2][i + 1]) end
  if found[1] ~= '0' then return Sweep.RECORDS .. found[1] end
  return Sweep.INDEX .. '0'
end

-- Takes out what stands for no record. `job_of` makes an id of a member, `member_of` a member of a job.
local function sweep_set(key, following, job_of, member_of)
  local found, wrong = redis.call('ZSCAN', key, from, 'COUNT', STEP), {}
  for i = 1, #found[2], 2 do
    local member = found[2][i]
    local id = job_of(member)
    local kept = redis.call('HGET', states, id)
    if not kept or member_of(id, unpack_record(kept)) ~= member then wrong[#wrong + 1] = member end
  end
  if #wrong > 0 then redis.call('ZREM', key, unpack(wrong)) end
  return found[1] ~= '0' and stage .. found[1] or following
end

local function own_id(id) return id end
local FOLLOWING = { [State.COMPLETED] = State.FAILED .. '0', [State.FAILED] = State.CANCELLED .. '0' }

local following
if stage == Sweep.RECORDS then
  following = sweep_records()
elseif stage == Sweep.INDEX then
  following = crowded() and sweep_set(index, Sweep.OWNED .. '0', own_id, own_id) or Sweep.OWNED .. '0'
elseif stage == Sweep.OWNED then
  -- The owner may hold anything; thirteen digits and an id, which has no NUL, follow its end.
  local function job_of(member) return string.sub(string.match(member, '([^%z]*)$'), 14) end
  following = crowded() and sweep_set(owned, State.COMPLETED .. '0', job_of, owned_member) or State.COMPLETED .. '0'
else
  following = sweep_set(finished_sets[stage].staying, FOLLOWING[stage], own_id, function(id, record)
    return record[Record.state] == stage and id
  end)
end
write_index()
if following then
  redis.call('HSET', meta, 'sweep', following)
  return 1
end
redis.call('HDEL', meta, 'sweep')
redis.call('HSET', meta, 'layout', LAYOUT)
return 0
