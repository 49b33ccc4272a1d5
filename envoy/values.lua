-- Whether one value is what its field takes, by the field's declared type. A check returns what is wrong, or false.

local LONGEST = 100 -- bytes of any value but text; also keeps patterns that backtrack away from long input
local DAYS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local MOMENT = 'must be a time in RFC 3339 format, such as "2026-11-24T09:30:00Z"'
local SPAN = 'must be a duration in seconds with the suffix s, such as "1.5s"'

local function is_time(token)
  local year, month, day, hour, minute, second, rest =
    string.match(token, "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)(.*)$")
  if year == nil then
    return false
  end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  local is_leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  if year < 1 or day < 1 or day > (DAYS[month] or 0) or (month == 2 and day == 29 and not is_leap) then
    return false
  end
  if tonumber(hour) > 23 or tonumber(minute) > 59 or tonumber(second) > 59 then
    return false
  end
  local fraction, offset = string.match(rest, "^(%.?%d*)(.*)$")
  if fraction == "." or #fraction > 10 or (fraction ~= "" and string.sub(fraction, 1, 1) ~= ".") then
    return false
  end
  local hours, minutes = string.match(offset, "^[+-](%d%d):(%d%d)$")
  return offset == "Z" or (hours ~= nil and tonumber(hours) < 24 and tonumber(minutes) < 60)
end

local function is_duration(token)
  local seconds, fraction = string.match(token, "^-?(%d+)(%.?%d*)s$")
  return seconds ~= nil and fraction ~= "." and #fraction <= 10 and tonumber(seconds) <= 315576000000
end

local function is_number(token)
  return string.find(token, "^-?%d+%.?%d*[eE]?[+-]?%d*$") ~= nil and tonumber(token) ~= nil
end

local CHECKS = {
  text = function(_, _, quoted)
    return not quoted and "must be a string in double quotes"
  end,
  switch = function(_, token)
    return token ~= "true" and token ~= "false" and "must be true or false"
  end,
  number = function(_, token, quoted)
    local is_special = quoted and (token == "NaN" or token == "Infinity" or token == "-Infinity")
    return not is_special and not (is_number(token) and math.abs(tonumber(token)) < math.huge) and "must be a number"
  end,
  whole = function(declared, token)
    local number = is_number(token) and tonumber(token)
    if not number or number % 1 ~= 0 then
      return "must be a whole number"
    end
    return (number < declared.least or number > declared.most)
      and string.format("must be a whole number from %.0f to %.0f", declared.least, declared.most)
  end,
  moment = function(_, token, quoted)
    return not (quoted and is_time(token)) and MOMENT
  end,
  span = function(_, token, quoted)
    return not (quoted and is_duration(token)) and SPAN
  end,
  enum = function(declared, token)
    return declared.words[string.lower(token)] == nil and "must be one of " .. declared.shown
  end,
  list = function()
    return "must be a list in brackets"
  end,
  map = function()
    return "must be an object in braces"
  end,
  object = function()
    return "must be an object in braces"
  end,
  message = function(declared)
    return "must be an object in braces with the fields " .. declared.names
  end,
}

-- The value of a JSON string, as far as its escapes stand for ASCII: others are in no value but text.
local function unescaped(token)
  if not string.find(token, "\\", 1, true) then
    return token
  end
  local plain = string.gsub(token, "\\u00(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return (string.gsub(plain, '\\([/"\\])', "%1"))
end

-- What is wrong with a string, number, true or false in that type's place, if anything; and the name that the transcoder takes for it,
-- if the token is another word for an enum's value.
local function checked_value(declared, token, quoted)
  if declared.kind ~= "text" then
    if #token > LONGEST then
      token = "" -- too long for any of them, and that is told in the same words
    elseif quoted then
      token = unescaped(token)
    end
  end
  local problem = CHECKS[declared.kind](declared, token, quoted)
  local name = not problem and declared.kind == "enum" and declared.words[string.lower(token)]
  return problem, name and name ~= token and name or nil
end
