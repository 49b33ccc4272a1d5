-- Jobs with all that is kept of them, and the queue's last event at that instant.
-- KEYS: jobs states secrets results failures events
-- ARGV: names
-- FLAGS: allow-oom
-- names: packed ids
-- RETURNS: last event, then for each job state, envelope, secret, result, failures (false where there is none)
local wanted = cmsgpack.unpack(names)
local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)
local answer = { last[1] and last[1][1] or '0-0' }
for _, id in ipairs(wanted) do
  answer[#answer + 1] = redis.call('HGET', states, id)
  answer[#answer + 1] = redis.call('HGET', jobs, id)
  answer[#answer + 1] = redis.call('HGET', secrets, id)
  answer[#answer + 1] = redis.call('HGET', results, id)
  answer[#answer + 1] = redis.call('HGET', failures, id)
end
return answer
