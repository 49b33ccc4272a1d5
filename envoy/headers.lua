-- What is done to a request before its token is verified: by its head alone, so that nothing of a body is held for nobody.

-- Whether the text is UTF-8: protobuf takes no other, and the service could only answer what it cannot read with a fault.
local function is_utf8(text)
  local at, size = 1, #text
  while at <= size do
    local byte, second = string.byte(text, at, at + 1)
    local more, low, high = 0, 0x80, 0xBF
    if byte >= 0xC2 and byte <= 0xDF then
      more = 1
    elseif byte >= 0xE0 and byte <= 0xEF then
      more = 2
      if byte == 0xE0 then low = 0xA0 elseif byte == 0xED then high = 0x9F end
    elseif byte >= 0xF0 and byte <= 0xF4 then
      more = 3
      if byte == 0xF0 then low = 0x90 elseif byte == 0xF4 then high = 0x8F end
    elseif byte >= 0x80 then
      return false
    end
    if more > 0 and (second == nil or second < low or second > high) then
      return false
    end
    if more > 1 and not string.match(string.sub(text, at + 2, at + more), "^" .. string.rep("[\128-\191]", more - 1) .. "$") then
      return false
    end
    at = at + more + 1
  end
  return true
end

local function unescaped(path)
  return (string.gsub(path, "%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- The transcoder takes what follows the last colon for a verb wherever the contract has such a verb, as in jobs:batch. The name
-- of a queue, email:batch, ends a path only where the queue itself is changed.
local function escape_queue(headers)
  local path = headers:get(":path")
  local escaped, found = string.gsub(path, "^(/api/v1/queue/[^/?:]+):([^/?]*)", "%1%%3A%2")
  if found > 0 and headers:get(":method") == "PATCH" then
    headers:replace(":path", escaped)
  end
end

-- Headers that gRPC itself would read, or cannot bear, are not for a service behind REST: it could only answer with a fault.
local function drop_foreign(headers)
  local foreign = {}
  for name in pairs(headers) do
    if string.find(name, "^grpc%-") or string.find(name, "%-bin$") or string.find(name, "[^%w_.:-]") then
      table.insert(foreign, name)
    end
  end
  for _, name in ipairs(foreign) do
    headers:remove(name)
  end
end

-- The text without white space at its ends. In linear time: "^%s*(.-)%s*$" tries every place of the text as the end.
local function trimmed(text)
  local first = string.find(text, "%S")
  return first and string.match(text, "^.*%S", first) or ""
end

-- Puts the token where jwt_authn looks for it, found as the service finds it: behind `Bearer` in any case, or bare.
local function show_token(headers)
  headers:remove(TOKEN_HEADER)
  local value = trimmed(headers:get("authorization") or "")
  local scheme, rest = string.match(value .. " ", "^(%S+) +(.*)$")
  if scheme ~= nil and string.lower(scheme) == "bearer" then
    value = trimmed(rest)
  end
  if value ~= "" then
    headers:add(TOKEN_HEADER, value)
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  if string.find(path, "%%[89a-fA-F]%x") and not is_utf8(unescaped(path)) then
    handle:respond({ [":status"] = "400" }, "The path is not UTF-8.")
    return
  end
  show_token(headers)
  if not is_grpc(headers) then
    drop_foreign(headers)
    escape_queue(headers)
  end
end
