-- Which calls are gRPC. A content type that only begins like one of these is none to Envoy's own filters, which transcode the call.

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
