-- KEYS: meta states
-- Files finished jobs for their removal that a release before it ended, and takes out what such a release has left. A step of it.
--- @include retention
local REFILED = 500
local tended = { completed, failed, cancelled, expiring_completed, expiring_failed, expiring_cancelled, retained }

local function cards(first, last)
  local sum = 0
  for place = first, last do sum = sum + redis.call('ZCARD', tended[place]) end
  return sum
end

-- Puts a job where it belongs, and nowhere else.
local function refile(place, id, record)
  local sets = record and finished_sets[record[STATE]]
  local stays = sets and record[KEEP] > 0 and record[FINISHED] + record[KEEP] > now
  local right = sets and (stays and retained or sets.expiring)
  if right then redis.call('ZADD', right, stays and record[FINISHED] + record[KEEP] or record[FINISHED], id) end
  if place > 3 and tended[place] ~= right then redis.call('ZREM', tended[place], id) end
end

-- The sets are walked one after the other, as long as they do not agree in number.
local function mend_retention()
  if cards(1, 3) == cards(4, 7) then return false end
  local kept = redis.call('HGET', meta, 'refiled') or '1 0'
  local place, cursor = string.match(kept, '(%d+) (%d+)')
  place = tonumber(place)
  local step = redis.call('ZSCAN', tended[place], cursor, 'COUNT', REFILED)
  local names = {}
  for i = 1, #step[2], 2 do names[#names + 1] = step[2][i] end
  if #names > 0 then
    for i, state in ipairs(redis.call('HMGET', states, unpack(names))) do
      refile(place, names[i], state and unpack_record(state))
    end
  end
  if step[1] == '0' then place = place % #tended + 1 end
  redis.call('HSET', meta, 'refiled', place .. ' ' .. step[1])
  return place > 1 or step[1] ~= '0'
end
