-- The transcoder ignores the fields of a body that the contract does not know: a bulk action whose filter is misspelt would mean
-- every job. So they are refused here, by name. CALLS and SHAPES, which stand above this, are made from the contract.

local FREE = 0 -- a value whose fields are the service's to judge
local DEEPEST = 100 -- the transcoder goes no deeper

local function shape_of(method, path)
  path = string.gsub(path, "?.*", "")
  for _, call in ipairs(CALLS) do
    if call.method == method and string.find(path, call.path) then
      return call.shape
    end
  end
end

local function place(stack)
  local words = {}
  for _, level in ipairs(stack) do
    if level.is_object then
      table.insert(words, (#words > 0 and "." or "") .. level.name)
    else
      table.insert(words, "[" .. level.index .. "]")
    end
  end
  return string.sub(table.concat(words), 1, 200)
end

local function end_of_string(text, at)
  local stop = string.find(text, '["\\]', at)
  while stop and string.byte(text, stop) == 92 do
    stop = string.find(text, '["\\]', stop + 2)
  end
  return stop
end

-- The first field that is unknown, with the names that there are instead. What is no JSON is left to the transcoder.
local function unknown_field(text, shape)
  local stack, top, value, at = {}, nil, shape, 1
  while true do
    local from, _, sign = string.find(text, '([{}%[%]",])', at)
    if from == nil then
      return nil
    end
    at = from + 1
    if sign == '"' then
      local stop = end_of_string(text, at)
      if stop == nil then
        return nil
      end
      if top and top.awaits_name then
        top.awaits_name = false
        top.name = string.sub(text, at, stop - 1)
        value = FREE
        if top.shape ~= FREE then
          local fields = SHAPES[top.shape].fields
          value = fields[top.name] or fields["*"]
          if value == nil then
            return place(stack), SHAPES[top.shape].names
          end
        end
      end
      at = stop + 1
    elseif sign == "{" or sign == "[" then
      top = { shape = value, is_object = sign == "{", awaits_name = sign == "{", name = "", index = 0 }
      stack[#stack + 1] = top
      if #stack > DEEPEST then
        return nil
      end
    elseif sign == "," then
      if top == nil then
        return nil
      elseif top.is_object then
        top.awaits_name = true
      else
        top.index = top.index + 1
        value = top.shape
      end
    else
      stack[#stack] = nil
      top = stack[#stack]
      if top == nil then
        return nil
      end
    end
  end
end

-- Why the body of a call is refused; nil if it is not.
local function body_problem(body, shape)
  local unknown, names = unknown_field(body:getBytes(0, body:length()), shape)
  return unknown and unknown .. ": there is no such field; there are " .. names .. "."
end
