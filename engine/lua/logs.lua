-- A job's latest log lines.
-- KEYS: states logs
-- ARGV: id
-- FLAGS: allow-oom
-- RETURNS: lines in all (-1: there is no such job), then packed lines, oldest first
--- @include record
local kept = redis.call('HGET', states, id)
if not kept then return { -1 } end
local total = unpack_record(kept)[Record.logs]
local answer = { total }
if total == 0 then return answer end
local places = {}
for n = math.max(0, total - LOG_LINES), total - 1 do places[#places + 1] = id .. ':' .. (n % LOG_LINES) end
for _, line in ipairs(redis.call('HMGET', logs, unpack(places))) do
  if line then answer[#answer + 1] = line end
end
return answer
