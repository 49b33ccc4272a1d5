-- One step of bringing the indexes into line with the records. A store of the first layout has no indexes, and its processes,
-- which may run beside this one for a while, write each new job's id into `all`, and file no change. So: ids in `all` are filed
-- and taken out; a queue without the mark of this layout, or whose indexes hold too much or too little, is swept whole: every
-- record is filed, then what no record stands for is taken out. Bounded: call again while it answers more.
-- KEYS: meta all states wait parked delayed active completed failed cancelled
-- ARGV: look
-- FLAGS: allow-oom
-- look: 1 to compare the sizes of index and sets, too, which tells what older processes have moved
-- RETURNS: 1 if there is more to do
--- @include record
--- @include index
local LAYOUT = '2'
local STEP = 200

local function file(id, kept)
  if kept then file_job(id, unpack_record(kept)) end
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
  local classes = { w = held(wait) + held(parked) + held(active), d = held(delayed), c = held(completed), f = held(failed), x = held(cancelled) }
  for class, count in pairs(classes) do
    if redis.call('ZLEXCOUNT', index, '[' .. class, '(' .. class .. ':') ~= count then return true end
  end
  return redis.call('ZCARD', owned) ~= redis.call('ZCARD', index)
end

-- 2. The sweep: 's' and a cursor of the records, 'i' and 'o' and a member of the indexes.
local sweep = redis.call('HGET', meta, 'sweep')
if not sweep then
  if redis.call('HGET', meta, 'layout') == LAYOUT and not (look == '1' and astray()) then return 0 end
  sweep = 's0'
end
local stage, from = string.sub(sweep, 1, 1), string.sub(sweep, 2)

local function sweep_records()
  local found = redis.call('HSCAN', states, from, 'COUNT', STEP)
  for i = 1, #found[2], 2 do file(found[2][i], found[2][i + 1]) end
  if found[1] ~= '0' then return 's' .. found[1] end
  return 'i'
end

-- Takes out what is not as its record says. `skip` is how much of a member comes before the class.
local function sweep_index(key, next_stage, skip)
  if not crowded() then return nil end
  local members = redis.call('ZRANGE', key, from == '' and '-' or '(' .. from, '+', 'BYLEX', 'LIMIT', 0, STEP)
  local wrong = {}
  for _, member in ipairs(members) do
    local start = skip(member)
    local id = string.sub(member, start + 14)
    local kept = redis.call('HGET', states, id)
    local record = kept and unpack_record(kept)
    local right = record and CLASS[record[STATE]] .. place_of(id, record)
    if right and start > 1 then right = record[OWNER] .. NUL .. right end
    if right ~= member then wrong[#wrong + 1] = member end
  end
  if #wrong > 0 then redis.call('ZREM', key, unpack(wrong)) end
  return #members == STEP and stage .. members[STEP] or next_stage
end

local following
if stage == 's' then
  following = sweep_records()
elseif stage == 'i' then
  following = sweep_index(index, 'o', function() return 1 end)
else
  -- Counted from the end of the owner, which may hold anything: a class, thirteen digits and an id without a NUL follow.
  following = sweep_index(owned, nil, function(member) return #member - string.find(string.reverse(member), NUL, 1, true) + 2 end)
end
write_index()
if following then
  redis.call('HSET', meta, 'sweep', following)
  return 1
end
redis.call('HDEL', meta, 'sweep')
redis.call('HSET', meta, 'layout', LAYOUT)
return 0
