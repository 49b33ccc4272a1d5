-- What the query of a path holds, against the contract.

local function unescaped_query(text)
  return (string.gsub(string.gsub(text, "+", " "), "%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- The type of a parameter, whose name may lead into messages: `filter.states`. Nil and the names that there are if it is unknown.
local function type_of_parameter(name, kind)
  for part in string.gmatch(name .. ".", "(.-)%.") do
    local declared = TYPES[kind]
    if declared == nil or declared.kind ~= "message" then
      return nil, "none below it"
    elseif declared.fields[part] == nil then
      return nil, declared.names == "" and "none" or declared.names
    end
    kind = declared.fields[part]
  end
  return kind
end

-- What is wrong with a path's query, parameter by parameter; and the path as the transcoder takes it, where that differs.
local function checked_query(path, kind)
  local scan = new_scan()
  local at = string.find(path, "?", 1, true)
  while at do
    local following = string.find(path, "&", at + 1, true)
    local name, value = string.match(string.sub(path, at + 1, (following or #path + 1) - 1), "^([^=]+)=?(.*)$")
    local known = true
    if name then
      local plain = unescaped_query(name)
      local declared, names = type_of_parameter(plain, kind)
      scan.places[1] = plain
      if declared == nil then
        known = scan:report("there is no such parameter; there are " .. names)
      else
        local of = TYPES[declared]
        local from = at + #name + 2
        -- One of several values is given as one parameter. Whatever its type, it is taken as a string is in a body.
        declared = of and of.kind == "list" and of.of or declared
        known = scan:plain(declared, unescaped_query(value), true, from, from + #value - 1)
      end
    end
    at = known and following
  end
  return scan.problems, scan:edited(path)
end
