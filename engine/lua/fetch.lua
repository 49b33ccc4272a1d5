-- Jobs as lists show them, as many from the first on as `most` bytes hold; the first whatever its size.
-- KEYS: jobs states results failures
-- ARGV: names most
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: for each state, envelope, result, failures (false where there is none)
local answer, bytes = {}, 0
for i, id in ipairs(cmsgpack.unpack(names)) do
  bytes = bytes + redis.call('HSTRLEN', jobs, id) + redis.call('HSTRLEN', results, id) + redis.call('HSTRLEN', failures, id)
  if i > 1 and bytes > tonumber(most) then break end
  answer[#answer + 1] = redis.call('HGET', states, id)
  answer[#answer + 1] = redis.call('HGET', jobs, id)
  answer[#answer + 1] = redis.call('HGET', results, id)
  answer[#answer + 1] = redis.call('HGET', failures, id)
end
return answer
