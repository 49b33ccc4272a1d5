-- Jobs with all that is kept of them, as many from the first on as `most` bytes hold, the first whatever its size; and the queue's last event at that instant.
-- KEYS: jobs states secrets results failures events
-- ARGV: names most
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: last event, then flat rows of WholeJob
local wanted = cmsgpack.unpack(names)
local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
local answer = { last[1] and last[1][1] or '0-0' }
local bytes = 0
for i, id in ipairs(wanted) do
  for _, key in ipairs({ jobs, secrets, results, failures }) do bytes = bytes + redis.call('HSTRLEN', key, id) end
  if i > 1 and bytes > tonumber(most) then break end
  local at = #answer
  answer[at + WholeJob.record] = redis.call('HGET', states, id)
  answer[at + WholeJob.envelope] = redis.call('HGET', jobs, id)
  answer[at + WholeJob.secret] = redis.call('HGET', secrets, id)
  answer[at + WholeJob.output] = redis.call('HGET', results, id)
  answer[at + WholeJob.failures] = redis.call('HGET', failures, id)
end
return answer
