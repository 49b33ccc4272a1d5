-- Bodies are held as a whole while they are checked and transcoded, and how fast one comes is its caller's affair. So the bytes
-- that are promised are counted here, in each of Envoy's threads: what would go beyond is refused at once, with its body unread.

local promised = 0
local collected_at = 0
local COLLECT_MILLISECONDS = 100

-- The bytes that the request's head announces. Without a word on it, and where too many are, the most that there may be: what
-- is a little too large is read whole, as callers that are still sending rarely hear an answer.
local function announced(headers)
  return math.min(tonumber(headers:get("content-length") or "") or MAX_BODY, MAX_BODY)
end

-- Counts them until the value returned is called. Where the caller hangs up meanwhile, this script never goes on: then they count
-- no more once the value is collected as garbage. Nil if there is no room.
local function reserve(handle, bytes)
  local most = bytes <= SMALL_BODY and ROOM_FOR_ALL or ROOM_FOR_LARGE
  if promised + bytes > most then
    local now = handle:timestamp()
    if now - collected_at > COLLECT_MILLISECONDS then
      collected_at = now
      collectgarbage()
    end
    if promised + bytes > most then
      return nil
    end
  end
  promised = promised + bytes
  local ticket = newproxy(true)
  local function release()
    promised = promised - bytes
    bytes = 0
  end
  local meta = getmetatable(ticket)
  meta.__gc = release
  meta.__call = release
  return ticket
end
