-- Which calls are gRPC, as Envoy's own filters see it: they transcode a call whose content type merely begins like one of these.

local GRPC_WEB = {
  ["application/grpc-web"] = true,
  ["application/grpc-web+proto"] = true,
  ["application/grpc-web-text"] = true,
  ["application/grpc-web-text+proto"] = true,
}

local function is_grpc(headers)
  local kind = headers:get("content-type") or ""
  return kind == "application/grpc" or string.sub(kind, 1, 17) == "application/grpc+" or GRPC_WEB[kind] == true
end
