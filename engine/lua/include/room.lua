--- @include waiting
--- @include parked
--- @include owners
-- Whether its owner's limit lets a job start, and whether any jobs are parked. A job that may start is counted; another is parked. So
-- is one that a parked job of the same owner precedes, parked when the limit was lower: that one is brought back first.
local held
local function has_room(id, record, score, per_owner)
  held = held or active_by_owner()
  local key = owner_key(record[Record.owner])
  local count, first, first_score = held[key] or 0, nil, nil
  if any_parked() then first, first_score = first_parked(key) end
  if count < per_owner and not (first and first_score < score) then
    held[key] = count + 1
    if first and count + 1 < per_owner then unpark(key) end
    return true, any_parked()
  end
  park(id, record)
  if count < per_owner then unpark(key) end
  return false, true
end
