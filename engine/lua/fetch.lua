-- Jobs as lists show them, as many from the first on as `most` bytes hold; the first whatever its size.
-- KEYS: jobs states results failures
-- ARGV: names most
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: flat rows of ListedJob
local answer, bytes = {}, 0
for i, id in ipairs(cmsgpack.unpack(names)) do
  bytes = bytes + redis.call('HSTRLEN', jobs, id) + redis.call('HSTRLEN', results, id) + redis.call('HSTRLEN', failures, id)
  if i > 1 and bytes > tonumber(most) then break end
  local at = #answer
  answer[at + ListedJob.record] = redis.call('HGET', states, id)
  answer[at + ListedJob.envelope] = redis.call('HGET', jobs, id)
  answer[at + ListedJob.output] = redis.call('HGET', results, id)
  answer[at + ListedJob.failures] = redis.call('HGET', failures, id)
end
return answer
