-- What the transcoder cannot do by itself. Calls that stay gRPC pass untouched.

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

local function is_grpc(headers)
  return string.find(headers:get("content-type") or "", "^application/grpc") ~= nil
end

function envoy_on_request(handle)
  local path = handle:headers():get(":path")
  if string.find(path, "%%[89a-fA-F]%x") and not is_utf8(unescaped(path)) then
    handle:respond({ [":status"] = "400" }, "The path is not UTF-8.")
    return
  end
  if not is_grpc(handle:headers()) then
    local problem = body_problem(handle)
    if problem then
      handle:respond({ [":status"] = "400" }, problem)
      return
    end
    drop_foreign(handle:headers())
    escape_queue(handle:headers())
  end
end

-- A health check that finds something unhealthy is a successful call over gRPC and a 503 over HTTP: the service says so in
-- the metadata value x-http-status.
local function set_status(headers)
  local status = headers:get("x-http-status")
  if status ~= nil and string.match(status, "^[2-5]%d%d$") then
    headers:replace(":status", status)
  end
end

-- `response_body` of the contract's HTTP rules, which Envoy does not know: {"stats":{...}} becomes {...}. The route's metadata
-- names the field, the only one of its message.
local function unwrap(handle)
  local field = handle:metadata():get("response_body")
  if field == nil or handle:headers():get(":status") ~= "200" then
    return
  end
  local body = handle:body()
  local text = body:getBytes(0, body:length())
  local opening = '{"' .. field .. '":'
  if string.sub(text, 1, #opening) == opening then
    body:setBytes(string.sub(text, #opening + 1, -2))
  end
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  if kind == nil or string.sub(kind, 1, 16) ~= "application/json" then
    headers:remove("x-http-status")
    return
  end
  set_status(headers)
  for _, name in ipairs({ "x-http-status", "grpc-status", "grpc-message", "grpc-accept-encoding" }) do
    headers:remove(name)
  end
  unwrap(handle)
end
