-- One call against all limits that bind it: let in by all and counted, or by none.
-- Times are Redis's own, in microseconds, so that the clocks of the processes do not matter.
--
-- KEYS: for each limit three (entries: zset id -> time; amounts: hash id -> tokens, 'r' and 't' their sums;
--       running: hash process -> calls in progress), and last 'alive': zset process -> until when it counts
-- ARGV: 'admit', process, id, tokens, then for each limit: requests, tokens, calls at once (-1: no limit)
--       'correct', process, id, tokens more (or fewer, negative) than counted
--       'end', process
--       'beat', process, lease, force ('1': as if it had been away), then for each limit: its calls in progress
local WINDOW = 60000000
local verb, process = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local alive = KEYS[#KEYS]
local limits = (#KEYS - 1) / 3

local function text(number) return string.format('%.0f', number) end
local function is_request(id) return string.sub(id, 1, 1) == 'q' end

local function add(entries, amounts, id, tokens)
  redis.call('ZADD', entries, text(now), id)
  redis.call('HSET', amounts, id, tokens)
  if is_request(id) then redis.call('HINCRBY', amounts, 'r', 1) end
  redis.call('HINCRBY', amounts, 't', tokens)
  redis.call('PEXPIRE', entries, 61000)
  redis.call('PEXPIRE', amounts, 61000)
end

local function expire(entries, amounts)
  local gone = text(now - WINDOW)
  local ids
  repeat
    ids = redis.call('ZRANGEBYSCORE', entries, '-inf', gone, 'LIMIT', 0, 1000)
    local requests, tokens = 0, 0
    for _, id in ipairs(ids) do
      tokens = tokens + tonumber(redis.call('HGET', amounts, id) or 0)
      if is_request(id) then requests = requests + 1 end
    end
    if #ids > 0 then
      redis.call('ZREM', entries, unpack(ids))
      redis.call('HDEL', amounts, unpack(ids))
      redis.call('HINCRBY', amounts, 'r', -requests)
      redis.call('HINCRBY', amounts, 't', -tokens)
    end
  until #ids < 1000
  if redis.call('EXISTS', entries) == 0 then redis.call('DEL', amounts) end
end

-- Microseconds until `excess` has left; -1 if it never does.
local function wait(entries, amounts, excess, of_requests)
  local from = 0
  while true do
    local found = redis.call('ZRANGE', entries, from, from + 99, 'WITHSCORES')
    if #found == 0 then return -1 end
    for i = 1, #found, 2 do
      if of_requests then
        if is_request(found[i]) then excess = excess - 1 end
      else
        excess = excess - tonumber(redis.call('HGET', amounts, found[i]) or 0)
      end
      if excess <= 0 then return tonumber(found[i + 1]) + WINDOW - now end
    end
    from = from + 100
  end
end

-- Calls in progress, without those of processes that have not been heard of for a lease.
local function in_progress(running)
  local sum = 0
  local all = redis.call('HGETALL', running)
  for i = 1, #all, 2 do
    local till = redis.call('ZSCORE', alive, all[i])
    if all[i] == process or (till and tonumber(till) > now) then
      sum = sum + tonumber(all[i + 1])
    else
      redis.call('HDEL', running, all[i])
    end
  end
  return sum
end

local function admit()
  local id, tokens = ARGV[3], tonumber(ARGV[4])
  local refused, counts = {}, {}
  for i = 1, limits do
    local entries, amounts, running = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
    local most_r, most_t, most_n = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3]), tonumber(ARGV[3 * i + 4])
    expire(entries, amounts)
    local r = tonumber(redis.call('HGET', amounts, 'r') or 0)
    local t = tonumber(redis.call('HGET', amounts, 't') or 0)
    if most_r >= 0 and r >= most_r then
      table.insert(refused, {i - 1, 'requests', wait(entries, amounts, r - most_r + 1, true)})
    end
    if most_t >= 0 and t + tokens > most_t then
      table.insert(refused, {i - 1, 'tokens', wait(entries, amounts, t + tokens - most_t, false)})
    end
    if most_n >= 0 and in_progress(running) >= most_n then
      table.insert(refused, {i - 1, 'at_once', 1000000})
    end
    local last = redis.call('ZRANGE', entries, -1, -1, 'WITHSCORES')[2]
    counts[i] = {r, t, last and tonumber(last) + WINDOW - now or 0}
  end
  if #refused == 0 then
    for i = 1, limits do
      add(KEYS[3 * i - 2], KEYS[3 * i - 1], id, ARGV[4])
      if tonumber(ARGV[3 * i + 4]) >= 0 then redis.call('HINCRBY', KEYS[3 * i], process, 1) end
      counts[i] = {counts[i][1] + 1, counts[i][2] + tokens, WINDOW}
    end
  end
  return {refused, counts}
end

-- What is given back leaves the call's own entry, if that still counts; what it used more is counted now.
local function correct()
  local id, more = ARGV[3], tonumber(ARGV[4])
  for i = 1, limits do
    local entries, amounts = KEYS[3 * i - 2], KEYS[3 * i - 1]
    expire(entries, amounts)
    if more > 0 then
      add(entries, amounts, 's' .. id, ARGV[4])
    elseif redis.call('HEXISTS', amounts, id) == 1 then
      redis.call('HINCRBY', amounts, id, more)
      redis.call('HINCRBY', amounts, 't', more)
    end
  end
  return 0
end

local function finish()
  for i = 1, limits do
    local running = KEYS[3 * i]
    if redis.call('HEXISTS', running, process) == 1 and redis.call('HINCRBY', running, process, -1) <= 0 then
      redis.call('HDEL', running, process)
    end
  end
  return 0
end

local function beat()
  local till = redis.call('ZSCORE', alive, process)
  local away = ARGV[4] == '1' or not till or tonumber(till) <= now
  redis.call('ZREMRANGEBYSCORE', alive, '-inf', text(now))
  redis.call('ZADD', alive, text(now + tonumber(ARGV[3]) * 1000000), process)
  for i = 1, away and limits or 0 do
    if tonumber(ARGV[4 + i]) > 0 then
      redis.call('HSET', KEYS[3 * i], process, ARGV[4 + i])
    else
      redis.call('HDEL', KEYS[3 * i], process)
    end
  end
  return away and 1 or 0
end

local verbs = {admit = admit, correct = correct, ['end'] = finish, beat = beat}
return verbs[verb]()
