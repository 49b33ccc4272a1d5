-- What the query of a path holds, against the contract.

local function unescaped_query(text)
  return (string.gsub(string.gsub(text, "+", " "), "%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- The type of a parameter, whose name may lead into messages, and that name as it is in JSON: `filter.createdBy`. If there is no such
-- parameter, nil and the names that there are.
local function type_of_parameter(name, call)
  local kind, names, path = call.type, call.parameters, {}
  for part in string.gmatch(name .. ".", "(.-)%.") do
    local declared = TYPES[kind]
    if declared == nil or declared.kind ~= "message" then
      return nil, "none below it"
    elseif declared.fields[part] == nil then
      return nil, #path == 0 and names or declared.names
    end
    kind = declared.fields[part]
    table.insert(path, declared.json_names[part] or part)
  end
  return kind, table.concat(path, ".")
end

-- One parameter, whose value is at `from`. Returns whether to read on.
local function check_parameter(scan, call, name, value, from, seen)
  scan.places[1] = name
  local declared, known = type_of_parameter(name, call)
  if call.has_body then
    return scan:report("is no parameter: all fields of this call are in its body")
  elseif declared == nil then
    return scan:report("there is no such parameter; there are " .. (known == "" and "none" or known))
  elseif call.bound[known] then
    return scan:report("is in the path already")
  end
  local of, plain = TYPES[declared], unescaped_query(value)
  if of and of.kind == "list" then -- one of several values is given as one parameter
    declared = of.of
  elseif seen[known] then
    return scan:report("is given twice")
  elseif of and of.kind == "whole" and not string.find(plain, "^-?%d+$") then
    plain = "" -- here the transcoder takes nothing but digits
  end
  seen[known] = true
  -- Whatever its type, it is taken as a string is in a body.
  return scan:plain(declared, plain, true, from, from + #value - 1)
end

-- What is wrong with a path's query, parameter by parameter; and the path as the transcoder takes it, where that differs.
local function checked_query(path, call)
  local scan, seen = new_scan(), {}
  local at = string.find(path, "?", 1, true)
  while at do
    local following = string.find(path, "&", at + 1, true)
    local name, value = string.match(string.sub(path, at + 1, (following or #path + 1) - 1), "^([^=]+)=?(.*)$")
    local goes_on = name == nil or check_parameter(scan, call, unescaped_query(name), value, at + #name + 2, seen)
    at = goes_on and following
  end
  return scan.problems, scan:edited(path)
end
