-- KEYS: index owned
-- The order of creation. Every script that stores, moves or drops a job files it here and ends with write_index. The class of a
-- job's state is in the score, so that a move is one write: `index` has ids by class and creation; `owned` has owner, 0, place by
-- class, and members of one score lie in the order of their bytes. Waiting and running jobs share a class, so that a start costs no
-- write; who wants one of the two looks at the records.
local LAYOUT, NUL = '3', '\0'
local CLASS = {
  [State.WAITING] = 1, [State.ACTIVE] = 1, [State.DELAYED] = 2, [State.COMPLETED] = 3, [State.FAILED] = 4, [State.CANCELLED] = 5,
}
local CLASS_STEP = 17592186044416 -- 2^44: more milliseconds than the thirteen digits of a place tell
local indexed, by_owner, gone_ids, gone_places = {}, {}, {}, {}

-- The thirteen digits of a creation time. Jobs that come together share it.
local digits_of, digits

-- Owner, 0, and the job's place in the order of creation, as engine/paging.py writes it.
local function owned_member(id, record)
  local created = record[Record.created]
  if created ~= digits_of then digits_of, digits = created, string.format('%013d', created) end
  return record[Record.owner] .. NUL .. digits .. id
end

-- Files a job under the class of its state, and nowhere else.
local function file_job(id, record)
  local class, at = CLASS[record[Record.state]], #indexed
  indexed[at + 1], indexed[at + 2] = class * CLASS_STEP + record[Record.created], id
  by_owner[at + 1], by_owner[at + 2] = class, owned_member(id, record)
end

-- A job that was both filed and taken out is gone.
local function write_index()
  -- In pieces: Lua's stack bounds what one call can take.
  for first = 1, #indexed, 2000 do
    local last = math.min(first + 1999, #indexed)
    redis.call('ZADD', index, unpack(indexed, first, last))
    redis.call('ZADD', owned, unpack(by_owner, first, last))
  end
  for first = 1, #gone_ids, 1000 do
    local last = math.min(first + 999, #gone_ids)
    redis.call('ZREM', index, unpack(gone_ids, first, last))
    redis.call('ZREM', owned, unpack(gone_places, first, last))
  end
  indexed, by_owner, gone_ids, gone_places = {}, {}, {}, {}
end
