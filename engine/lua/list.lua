-- One step along a queue's jobs in the order of their creation: which of them match. Bounded in jobs and in bytes read.
-- KEYS: meta all active index owned states
-- ARGV: filter begun_id begun after inclusive backwards wanted scan
-- FLAGS: allow-oom
-- filter, begun_id, begun: see include/match; after: the place to go on after (thirteen digits of the created ms, then the id), or empty; inclusive: 1 to
-- begin at that place; wanted: rows to answer at most; scan: jobs to look at most
-- RETURNS: a Stride (0 alone: the indexes are behind, run `upgrade`), then flat rows of FoundRow, whose score is created ms
--- @include clock
--- @include record
--- @include index
--- @include match
--- @include stretches
if redis.call('HGET', meta, 'layout') ~= LAYOUT or redis.call('ZCARD', all) > 0 then return { 0 } end
local MOST_ACTIVE = 1000
local from_ms, to_ms = created_after, created_before > 0 and created_before or CLASS_STEP
local after_ms, after_id = tonumber(string.sub(after, 1, 13)), string.sub(after, 14)
local included = inclusive == '1'

-- The stretch between the ranks `low` and `high`, cut off at the place to go on after, whose rank is searched for from `first` to `last`.
local function from_place(key, low, high, first, last, bound, read)
  if after ~= '' then
    local rank = rank_after(key, first, last, bound, included ~= descending)
    if descending then high = math.min(high, rank) else low = math.max(low, rank) end
  end
  return stretch(key, low, high, read)
end

local function of_all(class)
  local base = class * CLASS_STEP
  local function rank(ms) return redis.call('ZCOUNT', index, '-inf', string.format('(%.0f', base + ms)) end
  local first, last = 0, 0
  if after_ms then first, last = rank(after_ms), rank(after_ms + 1) end
  return from_place(index, rank(from_ms), rank(to_ms), first, last, after_id, function(id, score)
    return tonumber(score) - base, id
  end)
end

local function of_owner(class)
  local stem = wanted_owner .. NUL
  local first, last = redis.call('ZCOUNT', owned, '-inf', '(' .. class), redis.call('ZCOUNT', owned, '-inf', class)
  local low = rank_after(owned, first, last, stem .. string.format('%013d', from_ms), true)
  local high = rank_after(owned, low, last, stem .. (created_before > 0 and string.format('%013d', to_ms) or ':'), true)
  return from_place(owned, low, high, low, high, stem .. after, function(member)
    local place = string.sub(member, #stem + 1)
    return tonumber(string.sub(place, 1, 13)) or 0, string.sub(place, 14)
  end)
end

-- Running jobs, which are few, read from their own set: among the waiting ones they would be hard to find.
local function running()
  local from, last = stretch(active, 0, 0), after_ms and { number = after_ms, id = after_id }
  for _, id in ipairs(redis.call('ZRANGE', active, 0, -1)) do
    local kept = redis.call('HGET', states, id)
    local record = kept and unpack_record(kept)
    if record and fits(record) then
      local found = { number = record[Record.created], id = id }
      local here = last and found.number == after_ms and id == after_id
      if not last or sooner(last, found) or (included and here) then from.heads[#from.heads + 1] = found end
    end
  end
  table.sort(from.heads, sooner)
  return from
end

local stretches, classes = {}, {}
for i = 1, #wanted_states do classes[CLASS[string.sub(wanted_states, i, i)] or 0] = true end
if wanted_states == '' then classes = { true, true, true, true, true } end
local only_running = classes[1] and wanted_states ~= '' and not string.find(wanted_states, State.WAITING, 1, true)
if only_running and redis.call('ZCARD', active) <= MOST_ACTIVE then
  classes[1] = nil
  stretches[1] = running()
end
for class = 1, 5 do
  if classes[class] then stretches[#stretches + 1] = wanted_owner == '' and of_all(class) or of_owner(class) end
end

return walk(
  stretches,
  Stride { usable = 1, now = now, looked_at = 0, place = after, at_end = 0, begun_id = '', begun = 0 },
  function(found) return string.format('%013d', found.number) .. found.id end,
  function(found, record) return record[Record.created] == found.number and record[Record.created] end
)
