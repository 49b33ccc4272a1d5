-- What the store keeps of a job's state: a packed array by these places. engine/records.py reads the same places.
local STATE, STARTS, FAILS, MAX, PRIORITY, EXPONENTIAL, BACKOFF, JITTER = 1, 2, 3, 4, 5, 6, 7, 8
local WORKER, CREATED, READY, STARTED, FINISHED, STALLS, SEQ, EXPIRE = 9, 10, 11, 12, 13, 14, 15, 16
local KEEP, PROGRESS, LOGS, CUSTOM, TYPE, OWNER, UNKNOWN, SECRET = 17, 18, 19, 20, 21, 22, 23, 24
local CHECKPOINT, FAILURES, SIZE = 25, 26, 27 -- SIZE: bytes of the envelope; older records lack it
local SECRET_NONE, SECRET_STORED, SECRET_PURGED = 0, 1, 2
local LOG_LINES = 200
local PRIORITY_STEP = 1099511627776 -- 2^40: more jobs than a queue will ever number

local pack, unpack_limit, select = cmsgpack.pack, cmsgpack.unpack_limit, select

-- The values after the three bytes of the array's head, in a table that is made in its full size.
local function unpack_record(kept)
  return { select(2, unpack_limit(kept, 64, 3)) }
end

-- Higher priority first, then first in, first out. A job that comes back takes its old place.
local function wait_score(record)
  return record[SEQ] - record[PRIORITY] * PRIORITY_STEP
end
local function take_numbers(meta, count)
  return redis.call('HINCRBY', meta, 'seq', count) - count
end
