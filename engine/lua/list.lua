-- One step along a queue's jobs in the order of their creation: which of them match. Bounded in jobs and in bytes read.
-- KEYS: meta all active
-- ARGV: filter after inclusive backwards wanted scan
-- FLAGS: allow-oom
-- filter: see include/match; after: the place to go on after (thirteen digits of the created ms, then the id), or empty; inclusive: 1 to
-- begin at that place; wanted: rows to answer at most; scan: jobs to look at most
-- RETURNS: 1 (0 alone: the indexes are behind, run `upgrade`), now, jobs looked at, the place it came to, 1 if the end was reached,
-- then for each match id, created ms, state, what became of its secret
--- @include clock
--- @include record
--- @include index
--- @include match
if redis.call('HGET', meta, 'layout') ~= '2' or redis.call('ZCARD', all) > 0 then return { 0 } end
local MOST_ACTIVE = 1000
local descending = backwards == '1'

-- Compared by hand: Lua's own order of strings depends on the server's locale, the sets' does not.
local function less(a, b)
  if a == b then return false end
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local function sooner(a, b)
  local x, y = tonumber(string.sub(a, 1, 13)), tonumber(string.sub(b, 1, 13))
  if descending then a, b, x, y = b, a, y, x end
  if x ~= y then return x < y end
  return less(a, b)
end

-- A stream of one class, read from its index piece by piece.
local function stream(class)
  local key, stem = index, class
  if want[3] ~= '' then key, stem = owned, want[3] .. NUL .. class end
  local low = '[' .. stem .. (want[4] > 0 and string.format('%013d', want[4]) or '')
  local high = '(' .. stem .. (want[5] > 0 and string.format('%013d', want[5]) or ':')
  if after ~= '' then
    local bound = (inclusive == '1' and '[' or '(') .. stem .. after
    if descending then high = bound else low = bound end
  end
  return { key = key, stem = stem, low = low, high = high, places = {}, at = 1, ended = false }
end

-- Running jobs, which are few, read from their own set: among the waiting ones they would be hard to find.
local function running()
  local places = {}
  for _, id in ipairs(redis.call('ZRANGE', active, 0, -1)) do
    local kept = redis.call('HGET', states, id)
    local record = kept and unpack_record(kept)
    if record and fits(record) then
      local place = place_of(id, record)
      if after == '' or sooner(after, place) or (inclusive == '1' and after == place) then places[#places + 1] = place end
    end
  end
  table.sort(places, sooner)
  return { places = places, at = 1, ended = true }
end

local function head(from)
  if from.at > #from.places and not from.ended then
    local count = math.min(tonumber(wanted) + 1, 200)
    local members
    if descending then
      members = redis.call('ZRANGE', from.key, from.high, from.low, 'BYLEX', 'REV', 'LIMIT', 0, count)
    else
      members = redis.call('ZRANGE', from.key, from.low, from.high, 'BYLEX', 'LIMIT', 0, count)
    end
    from.places, from.at, from.ended = {}, 1, #members < count
    for i, member in ipairs(members) do from.places[i] = string.sub(member, #from.stem + 1) end
    if #members > 0 then
      local bound = '(' .. members[#members]
      if descending then from.high = bound else from.low = bound end
    end
  end
  return from.places[from.at]
end

local streams, classes = {}, {}
for i = 1, #want[1] do classes[CLASS[string.sub(want[1], i, i)] or ''] = true end
if want[1] == '' then classes = { w = true, d = true, c = true, f = true, x = true } end
if classes.w and not (want[1] == '' or string.find(want[1], 'w', 1, true)) and redis.call('ZCARD', active) <= MOST_ACTIVE then
  classes.w = nil
  streams[1] = running()
end
for _, class in ipairs({ 'w', 'd', 'c', 'f', 'x' }) do
  if classes[class] then streams[#streams + 1] = stream(class) end
end

local function next_stream()
  local first, first_place
  for _, from in ipairs(streams) do
    local place = head(from)
    if place and (not first_place or sooner(place, first_place)) then first, first_place = from, place end
  end
  return first, first_place
end

local answer, rows = { 1, now, 0, after, 0 }, 0
while true do
  local from, place = next_stream()
  if not from then
    answer[5] = 1
    break
  end
  if rows >= tonumber(wanted) or looked_at >= tonumber(scan) then break end
  local id = string.sub(place, 14)
  local record = look(id)
  if record == nil then break end
  from.at = from.at + 1
  answer[4] = place
  if record and place_of(id, record) == place then
    answer[#answer + 1] = id
    answer[#answer + 1] = record[CREATED]
    answer[#answer + 1] = record[STATE]
    answer[#answer + 1] = record[SECRET]
    rows = rows + 1
  end
end
answer[3] = looked_at
return answer
