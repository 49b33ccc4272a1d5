-- KEYS: requests request_times
-- What request ids protect: `requests` has, by a digest of caller and request id, what was asked, the job that came of it, when it was
-- asked and when that job was created; `request_times` has the moments (ms) at which they are forgotten.
local REQUEST_MS = 3600000
local new_requests = {}

-- What a request id that was used before gives: a verdict and, for the same request, the job's creation and id.
local function known_request(request, digest)
  local kept = redis.call('HGET', requests, request)
  local entry = kept and cmsgpack.unpack(kept)
  if not entry or now - entry[3] >= REQUEST_MS then return nil end
  if entry[1] ~= digest then return 5, '', 0 end
  return 2, '', entry[4], entry[2]
end

local function note_request(request, digest, id, created)
  -- At once, so that a second row with this request id in the same call finds it.
  redis.call('HSET', requests, request, cmsgpack.pack({ digest, id, now, created }))
  new_requests[#new_requests + 1] = now + REQUEST_MS
  new_requests[#new_requests + 1] = request
end

local function write_requests()
  if #new_requests > 0 then redis.call('ZADD', request_times, unpack(new_requests)) end
end
