-- Notes a job that a schedule enqueued. A slot counts once, whoever fired it first.
-- KEYS: records slots runs fired faults
-- ARGV: name slot job_id triggered
-- RETURNS: 1 noted, 0 known already or no such schedule
--- @include clock
local RUNS_KEPT = 100
if redis.call('HEXISTS', records, name) == 0 then return 0 end
if triggered ~= '1' then
  if tonumber(slot) <= tonumber(redis.call('HGET', slots, name) or '0') then return 0 end
  redis.call('HSET', slots, name, slot)
  redis.call('HSET', fired, name, slot)
  redis.call('HDEL', faults, name)
end
local kept = redis.call('HGET', runs, name)
local readable, history = pcall(cmsgpack.unpack, kept or '')
if not readable or type(history) ~= 'table' then history = {} end
if #history >= RUNS_KEPT then table.remove(history, 1) end
history[#history + 1] = RunEntry { slot = tonumber(slot), time = now, job_id = job_id, triggered = triggered == '1' }
redis.call('HSET', runs, name, cmsgpack.pack(history))
return 1
