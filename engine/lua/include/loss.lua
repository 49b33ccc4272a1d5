-- Why a start is its worker's no more, see Loss in engine/jobs.py; '' while it still is.
local function loss(record, worker, starts)
  if record and record[Record.worker] == worker and record[Record.starts] == starts then
    if record[Record.state] == State.ACTIVE then return '' end
    if record[Record.state] == State.CANCELLED then return Loss.CANCELLED end
  end
  return Loss.LOST
end
