-- KEYS: active states
--- @include waiting
--- @include owners
-- Whether the limit of its owner lets a job start, which counts it then, and whether any jobs are parked. If it does not, the job is
-- parked. A parked job of the owner that comes first by priority and age, because the limit was lower when it was parked, goes first now.
local held
local function has_room(id, record, score, per_owner)
  held = held or active_by_owner()
  local key = owner_key(record[OWNER])
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
