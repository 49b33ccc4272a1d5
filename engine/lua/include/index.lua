-- KEYS: index owned
-- The order of creation, by class and by owner and class: members sort as text, all with score 0. Every script that stores,
-- moves or drops a job files it here and ends with write_index. Waiting and running jobs share a class, so that a start costs
-- no write; who wants one of the two looks at the records. engine/paging.py knows the places.
local CLASS = { w = 'w', a = 'w', d = 'd', c = 'c', f = 'f', x = 'x' }
local NUL = '\0'
local filed, filed_owner = {}, {}

local function place_of(id, record)
  return string.format('%013d', record[CREATED]) .. id
end

-- Files a job under the class of its state. `before` is the state under which it was filed, nil for a new job.
local function file_job(id, record, before)
  local to, from = CLASS[record[STATE]], CLASS[before]
  if to == from then return end
  local place = place_of(id, record)
  filed[to .. place], filed_owner[to .. place] = true, record[OWNER]
  if from then filed[from .. place], filed_owner[from .. place] = false, record[OWNER] end
end

-- Takes a job out, under the class of its state.
local function unfile_job(id, record)
  local member = CLASS[record[STATE]] .. place_of(id, record)
  filed[member], filed_owner[member] = false, record[OWNER]
end

local function write_index()
  local indexed, by_owner, gone, gone_by_owner = {}, {}, {}, {}
  for member, present in pairs(filed) do
    local owned_member = filed_owner[member] .. NUL .. member
    if present then
      local n = #indexed
      indexed[n + 1], indexed[n + 2] = '0', member
      by_owner[n + 1], by_owner[n + 2] = '0', owned_member
    else
      gone[#gone + 1], gone_by_owner[#gone_by_owner + 1] = member, owned_member
    end
  end
  -- In pieces: Lua's stack bounds what one call can take.
  for first = 1, #gone, 1000 do
    local last = math.min(first + 999, #gone)
    redis.call('ZREM', index, unpack(gone, first, last))
    redis.call('ZREM', owned, unpack(gone_by_owner, first, last))
  end
  for first = 1, #indexed, 2000 do
    local last = math.min(first + 1999, #indexed)
    redis.call('ZADD', index, unpack(indexed, first, last))
    redis.call('ZADD', owned, unpack(by_owner, first, last))
  end
  filed, filed_owner = {}, {}
end
