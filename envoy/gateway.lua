-- What the transcoder cannot do by itself, for callers whose token holds. Calls that stay gRPC pass untouched.

local RETRY_ON = "x-envoy-retry-on"

local function refuse(handle, status, message)
  handle:respond({ [":status"] = status }, message)
end

-- What the call with that head takes; nil if there is no such call.
local function call_of(headers)
  local path = string.gsub(headers:get(":path"), "?.*", "")
  for _, call in ipairs(CALLS) do
    if call.method == headers:get(":method") and string.find(path, call.path) then
      return call
    end
  end
end

-- Stands in the answer as google.rpc.BadRequest.
local function refuse_fields(handle, problems)
  local first, more = problems[1], #problems - 1
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("qjobs", "refused", "fields")
  metadata:set("qjobs", "violations", problems)
  local message = (first.field ~= "" and first.field .. ": " or "") .. first.description
  refuse(handle, "400", message .. (more > 0 and " (and " .. more .. " more)" or ""))
end

-- The query is read before any of the body is held. Returns whether the call may go on.
local function take_query(handle, call)
  local headers = handle:headers()
  local problems, path = checked_query(headers:get(":path"), call)
  if #problems > 0 then
    refuse_fields(handle, problems)
    return false
  elseif path then
    headers:replace(":path", path)
  end
  return true
end

local function take_body(handle, call)
  local body = handle:body()
  local length = body and body:length() or 0
  if length > MAX_BODY then
    refuse(handle, "413", "")
  elseif length > 0 then
    local problems, text, repeatable = checked_body(body:getBytes(0, length), call.type)
    if #problems > 0 then
      refuse_fields(handle, problems)
      return
    elseif text then
      body:setBytes(text)
    end
    if repeatable then -- by the router, also where the process that has it dies
      handle:headers():replace(RETRY_ON, BROKEN_OFF)
    end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove(TOKEN_HEADER)
  headers:remove(RETRY_ON)
  if is_grpc(headers) or handle:metadata():get("is_file") then
    return
  end
  local call = call_of(headers)
  if call == nil then -- also where the transcoder would find a call: nothing of it has been checked
    refuse(handle, "404", "")
    return
  elseif not take_query(handle, call) or not call.has_body then
    return
  end
  local ticket = reserve(handle, announced(headers))
  if ticket == nil then
    handle:streamInfo():dynamicMetadata():set("qjobs", "refused", "memory")
    refuse(handle, "503", "")
    return
  end
  take_body(handle, call)
  ticket()
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
  headers:remove(ELSEWHERE)
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
