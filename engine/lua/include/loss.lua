-- Why a start is its worker's no more, as a word of Loss in engine/jobs.py; '' while it still is.
local function loss(record, worker, starts)
  if record and record[WORKER] == worker and record[STARTS] == starts then
    if record[STATE] == 'a' then return '' end
    if record[STATE] == 'x' then return 'cancelled' end
  end
  return 'lost'
end
