-- The store's clock: the only one that decides. Sorted sets that hold times score ms * 1024 + a tie-breaker, so that scores
-- are unique and a page can go on after one.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local TIE = 1024

local function timed(ms, tie)
  return ms * TIE + tie % TIE
end
local function until_ms(ms)
  return string.format('%.0f', ms * TIE + TIE - 1)
end
