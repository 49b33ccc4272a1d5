-- Renews a worker's leases.
-- KEYS: active states
-- ARGV: worker lease items
-- FLAGS: allow-oom
-- items: packed rows of LeaseItem
-- RETURNS: the ids that are no longer this worker's, each with why not
--- @include clock
--- @include record
--- @include loss
local input = cmsgpack.unpack(items)
if #input == 0 then return {} end
local names = {}
for i, item in ipairs(input) do names[i] = item[LeaseItem.id] end
local kept = redis.call('HMGET', states, unpack(names))
local expiry = string.format('%.0f', now + tonumber(lease))
local lost, leases = {}, {}
for i, item in ipairs(input) do
  local record = kept[i] and unpack_record(kept[i])
  local why = loss(record, worker, item[LeaseItem.fence])
  if why == '' then
    leases[#leases + 1] = expiry
    leases[#leases + 1] = item[LeaseItem.id]
  else
    lost[#lost + 1] = item[LeaseItem.id]
    lost[#lost + 1] = why
  end
end
if #leases > 0 then redis.call('ZADD', active, 'XX', unpack(leases)) end
return lost
