-- What a request holds, against the contract. The transcoder ignores fields of a body that it does not know (a misspelt filter would
-- mean every job), and describes wrong values in words that name no remedy. So both are refused here, by field. CALLS and TYPES,
-- which stand above this, are made from the contract. One pass, whose cost is linear in the request's length: strings and the
-- service's own values are skipped by loops that LuaJIT compiles, and what is no JSON ends it.

local FREE = 0 -- a value that is the service's to judge
local DEEPEST = 100 -- the transcoder goes no deeper
local MOST_PROBLEMS = 20 -- that are told at once
local LONGEST_PLACE = 200

local byte, find, sub = string.byte, string.find, string.sub

-- The position of the quote that ends the string whose content begins at `at`; nil if nothing ends it.
local function end_of_string(text, at)
  local stop = find(text, '"', at, true)
  while stop do
    local before = stop - 1
    while before >= at and byte(text, before) == 92 do
      before = before - 1
    end
    if (stop - before) % 2 == 1 then
      return stop
    end
    stop = find(text, '"', stop + 1, true)
  end
end

-- The position behind the object or list that begins at `at`; nil if it surely is no JSON. (The transcoder would take 'text'.)
local function end_of_free(text, at)
  local depth = 0
  while true do
    local sign = byte(text, at)
    if sign == nil or sign == 39 then
      return nil
    elseif sign == 34 then
      at = end_of_string(text, at + 1)
      if at == nil then
        return nil
      end
    elseif sign == 123 or sign == 91 then
      depth = depth + 1
    elseif sign == 125 or sign == 93 then
      depth = depth - 1
      if depth == 0 then
        return at + 1
      end
    end
    at = at + 1
  end
end

-- The first sign that is no white space, and its position.
local function next_sign(text, at)
  local sign = byte(text, at)
  while sign == 32 or sign == 10 or sign == 13 or sign == 9 do
    at = at + 1
    sign = byte(text, at)
  end
  return sign, at
end

-- Its methods that read return the position behind what they have read; nil where that is no JSON, or enough problems are known.
-- `repeatable` is whether each request that can have a request id has one; nil where none can.
local Scan = {}
Scan.__index = Scan

local function new_scan()
  return setmetatable({ places = {}, problems = {}, edits = {} }, Scan)
end

function Scan:report(description)
  local place = string.gsub(sub(table.concat(self.places), 1, LONGEST_PLACE), "[^ -~]", "?")
  table.insert(self.problems, { field = (string.gsub(place, "^%.", "")), description = description })
  return #self.problems < MOST_PROBLEMS
end

-- A value without parts at `from` to `to`.
function Scan:plain(kind, token, quoted, from, to)
  if kind == FREE then
    return true
  end
  local problem, name = checked_value(TYPES[kind], token, quoted)
  if problem then
    return self:report(problem)
  elseif name then
    table.insert(self.edits, { from = from, to = to, text = name })
  end
  return true
end

function Scan:value(text, at, kind)
  local sign
  sign, at = next_sign(text, at)
  if sign == 34 then
    local stop = end_of_string(text, at + 1)
    return stop and self:plain(kind, sub(text, at + 1, stop - 1), true, at + 1, stop - 1) and stop + 1
  elseif sign == 123 or sign == 91 then
    return self:holder(text, at, kind, sign)
  end
  local _, stop = find(text, "^[%w+.-]+", at)
  if stop == nil then
    return nil
  end
  local token = sub(text, at, stop)
  return (token == "null" or self:plain(kind, token, false, at, stop)) and stop + 1
end

-- An object or list.
function Scan:holder(text, at, kind, sign)
  local declared = kind ~= FREE and TYPES[kind]
  local is_list = sign == 91
  if declared and #self.places < DEEPEST then
    if is_list and declared.kind == "list" then
      return self:list(text, at + 1, declared)
    elseif not is_list and (declared.kind == "message" or declared.kind == "map") then
      return self:object(text, at + 1, declared)
    elseif is_list or declared.kind ~= "object" then
      local problem = checked_value(declared, "", false)
      if not self:report(problem) then
        return nil
      end
    end
  end
  return end_of_free(text, at)
end

function Scan:list(text, at, declared)
  local depth, index, sign = #self.places + 1, 0, nil
  sign, at = next_sign(text, at)
  if sign == 93 then
    return at + 1
  end
  while true do
    if index == declared.most then
      self:report("must contain no more than " .. declared.most .. " item(s)")
      return nil
    end
    self.places[depth] = "[" .. index .. "]"
    at = self:value(text, at, declared.of)
    if not at then
      return nil
    end
    self.places[depth] = nil
    sign, at = next_sign(text, at)
    if sign == 93 then
      return at + 1
    elseif sign ~= 44 then
      return nil
    end
    at, index = at + 1, index + 1
  end
end

-- The type of an object's field; nil if there is no such field, or enough problems are known.
function Scan:field(declared, name, seen)
  local depth = #self.places
  self.places[depth] = declared.kind == "map" and '["' .. name .. '"]' or "." .. name
  local kind = declared.kind == "map" and declared.of or declared.fields[name]
  if kind == nil then
    return self:report("there is no such field; there are " .. declared.names) and FREE
  elseif declared.kind == "message" then
    name = declared.json_names[name] or name
    if seen[name] then
      return self:report("is given twice") and FREE
    end
    seen[name] = true
  end
  return kind
end

local function is_request_id(name, value)
  return (name == "requestId" or name == "request_id") and find(value, '^%s*"[^"]') ~= nil
end

function Scan:note_id(declared, has_id)
  if declared.has_request_id then
    self.repeatable = self.repeatable ~= false and has_id
  end
end

function Scan:object(text, at, declared)
  local depth, count, seen, sign, has_id = #self.places + 1, 0, {}, nil, false
  sign, at = next_sign(text, at)
  if sign == 125 then
    self:note_id(declared, false)
    return at + 1
  end
  while true do
    local stop = sign == 34 and end_of_string(text, at + 1)
    if not stop then
      return nil
    end
    self.places[depth] = ""
    local name = sub(text, at + 1, stop - 1)
    local kind = self:field(declared, name, seen)
    sign, at = next_sign(text, stop + 1)
    local from = at + 1
    at = kind and sign == 58 and self:value(text, from, kind)
    if not at then
      return nil
    end
    has_id = has_id or (declared.has_request_id and is_request_id(name, sub(text, from, at - 1)))
    self.places[depth] = nil
    count = count + 1
    sign, at = next_sign(text, at)
    if sign == 125 then
      self:note_id(declared, has_id)
      return at + 1
    elseif sign ~= 44 then
      return nil
    elseif count == declared.most then
      self:report("must contain no more than " .. declared.most .. " entries")
      return nil
    end
    sign, at = next_sign(text, at + 1)
  end
end

function Scan:edited(text)
  if #self.edits == 0 then
    return nil
  end
  local pieces, at = {}, 1
  for _, edit in ipairs(self.edits) do
    table.insert(pieces, sub(text, at, edit.from - 1))
    table.insert(pieces, edit.text)
    at = edit.to + 1
  end
  table.insert(pieces, sub(text, at))
  return table.concat(pieces)
end

-- What is wrong with a body, field by field; the body as the transcoder takes it, where that differs; and whether its request ids
-- make it safe to repeat. A body that is no JSON has one problem, of no field.
local function checked_body(text, kind)
  local scan = new_scan()
  local at = scan:value(text, 1, kind)
  if #scan.problems == 0 and not (at and next_sign(text, at) == nil) then
    return { { field = "", description = "the body is not a JSON object" } }
  end
  return scan.problems, scan:edited(text), scan.repeatable
end
