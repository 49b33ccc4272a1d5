-- The worker processes that spoke within `within` ms.
-- KEYS: reports seen
-- ARGV: within
-- FLAGS: allow-oom
-- RETURNS: flat rows: worker, ms when it spoke, report
--- @include clock
local answer = {}
local alive = redis.call('ZRANGE', seen, now - tonumber(within), '+inf', 'BYSCORE', 'LIMIT', 0, 1000, 'WITHSCORES')
for i = 1, #alive, 2 do
  local report = redis.call('HGET', reports, alive[i])
  if report then
    answer[#answer + 1] = alive[i]
    answer[#answer + 1] = alive[i + 1]
    answer[#answer + 1] = report
  end
end
return answer
