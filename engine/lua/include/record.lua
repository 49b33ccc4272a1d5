-- What the store keeps of a job's state, packed: see Record in engine/schema.py.
local LOG_LINES = 200
local PRIORITY_STEP = 1099511627776 -- 2^40: more jobs than a queue will ever number

local pack, unpack_limit, select = cmsgpack.pack, cmsgpack.unpack_limit, select

-- The values after the three bytes of the array's head, in a table that is made in its full size.
local function unpack_record(kept)
  return { select(2, unpack_limit(kept, 64, 3)) }
end

-- Higher priority first, then first in, first out. A job that comes back takes its old place.
local function wait_score(record)
  return record[Record.seq] - record[Record.priority] * PRIORITY_STEP
end
local function take_numbers(meta, count)
  return redis.call('HINCRBY', meta, 'seq', count) - count
end
