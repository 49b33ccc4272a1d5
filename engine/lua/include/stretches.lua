-- ARGV: backwards wanted scan
-- Walks along several sorted sets at once, in the order of a number and, where that is the same, of the id, by its bytes. A stretch
-- has `key`, the ranks from `low` to before `high` that are left of it, and `read`, which makes number and id of member and score.
--- @include match
local descending = backwards == '1'
local piece = math.min(tonumber(scan), tonumber(wanted) + 1)

-- By bytes, as the sets have it: Lua's own order of text depends on the server's locale.
local function less(a, b)
  local n = math.min(#a, #b)
  for first = 1, n, 16 do
    if string.sub(a, first, first + 15) ~= string.sub(b, first, first + 15) then
      for i = first, math.min(first + 15, n) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then return x < y end
      end
    end
  end
  return #a < #b
end

-- The first rank from `low` to before `high` whose member comes after `bound`, or is it if `included`; `high` where there is none.
-- The members have one score.
local function rank_after(key, low, high, bound, included)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', key, middle, middle)[1]
    if less(bound, member) or (included and member == bound) then high = middle else low = middle + 1 end
  end
  return low
end

local function sooner(a, b)
  if descending then a, b = b, a end
  if a.number ~= b.number then return a.number < b.number end
  return less(a.id, b.id)
end

-- The next job of a stretch: number, id, and the score as the set has it; nil at its end.
local function head(from)
  if from.at > #from.heads and from.low < from.high then
    local first, last, step = from.low, math.min(from.low + piece, from.high) - 1, 2
    if descending then first, last, step = math.max(from.high - piece, from.low), from.high - 1, -2 end
    local found = redis.call('ZRANGE', from.key, first, last, 'WITHSCORES')
    if descending then from.high = first else from.low = last + 1 end
    from.heads, from.at = {}, 1
    for i = descending and #found - 1 or 1, descending and 1 or #found, step do
      local number, id = from.read(found[i], found[i + 1])
      from.heads[#from.heads + 1] = { number = number, id = id, score = found[i + 1] }
    end
  end
  return from.heads[from.at]
end

local function stretch(key, low, high, read)
  return { key = key, low = low, high = high, read = read, heads = {}, at = 1 }
end

local function next_of(stretches)
  local first, first_head
  for _, from in ipairs(stretches) do
    local found = head(from)
    if found and (not first_head or sooner(found, first_head)) then first, first_head = from, found end
  end
  return first, first_head
end

-- Looks at job after job, as far as one call may. Adds to `answer`, a Stride, which it brings up to date, a flat FoundRow for each that
-- matches. `place` writes a place, `row` makes the score, and nothing for a job that does not match after all.
local function walk(stretches, answer, place, row)
  local rows = 0
  while true do
    local from, found = next_of(stretches)
    if not from then
      answer[Stride.at_end] = 1
      break
    end
    if rows >= tonumber(wanted) or looked_at >= tonumber(scan) then break end
    local record = look(found.id)
    if record == nil then
      if windows > 0 then answer[Stride.begun_id], answer[Stride.begun] = found.id, windows end
      break
    end
    from.at = from.at + 1
    answer[Stride.place] = place(found)
    local score = record and row(found, record)
    if score then
      local at = #answer
      answer[at + FoundRow.id], answer[at + FoundRow.score] = found.id, score
      answer[at + FoundRow.state], answer[at + FoundRow.secret] = record[Record.state], record[Record.secret]
      rows = rows + 1
    end
  end
  answer[Stride.looked_at] = looked_at
  return answer
end
