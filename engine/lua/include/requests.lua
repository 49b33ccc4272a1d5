-- KEYS: requests request_times
-- What request ids protect: `requests` has, by a digest of caller and request id, see KnownRequest in engine/schema.py; `request_times` has the moments (ms) at which they are forgotten.
--- @include clock
local REQUEST_MS = 3600000
local new_requests = {}

-- What a request id that was used before gives: a verdict and, for the same request, the job's creation and id.
local function known_request(request, digest)
  local kept = redis.call('HGET', requests, request)
  local entry = kept and cmsgpack.unpack(kept)
  if not entry or now - entry[KnownRequest.asked] >= REQUEST_MS then return nil end
  if entry[KnownRequest.digest] ~= digest then return Verdict.REQUEST_TAKEN, '', 0 end
  return Verdict.KNOWN, '', entry[KnownRequest.created], entry[KnownRequest.id]
end

local function note_request(request, digest, id, created)
  -- At once, so that a second row with this request id in the same call finds it.
  redis.call('HSET', requests, request, cmsgpack.pack(KnownRequest { digest = digest, id = id, asked = now, created = created }))
  new_requests[#new_requests + 1] = now + REQUEST_MS
  new_requests[#new_requests + 1] = request
end

local function write_requests()
  if #new_requests > 0 then redis.call('ZADD', request_times, unpack(new_requests)) end
end
