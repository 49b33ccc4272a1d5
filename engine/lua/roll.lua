-- The worker processes that spoke within `within` ms.
-- KEYS: reports seen
-- ARGV: within
-- FLAGS: allow-oom
-- RETURNS: flat rows of ReportRow
--- @include clock
local answer = {}
local alive = redis.call('ZRANGE', seen, now - tonumber(within), '+inf', 'BYSCORE', 'LIMIT', 0, 1000, 'WITHSCORES')
for i = 1, #alive, 2 do
  local report = redis.call('HGET', reports, alive[i])
  if report then
    local at = #answer
    answer[at + ReportRow.worker], answer[at + ReportRow.spoke], answer[at + ReportRow.report] = alive[i], alive[i + 1], report
  end
end
return answer
