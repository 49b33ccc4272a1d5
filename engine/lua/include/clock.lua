-- The store's clock, the only one that decides. The scores of sorted sets that hold times are ms * 1024 + a tie-breaker, so that
-- they are unique and a page can go on after one.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local TIE = 1024

local function timed(ms, tie)
  return ms * TIE + tie % TIE
end
local function until_ms(ms)
  return string.format('%.0f', ms * TIE + TIE - 1)
end
