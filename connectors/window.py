"""Where spent units are written down: a sliding minute in this process, or one in Redis that all processes share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

MINUTE = 60.0


class Window(Protocol):
    """The units of the last minute. ``take`` writes them down and gives 0, or gives the seconds to wait (with no more than
    ``allowed`` in a minute; one spending larger than that passes alone). ``close``: nothing for so many seconds."""

    def take(self, units: int, allowed: int) -> float: ...

    def give_back(self, units: int) -> None: ...

    def close(self, seconds: float) -> None: ...


class LocalWindow:
    """In this process. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._spent: deque[tuple[float, int]] = deque()
        self._inside = 0
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def take(self, units: int, allowed: int) -> float:
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                return self._closed_until - now
            while self._spent and self._spent[0][0] <= now - MINUTE:
                self._inside -= self._spent.popleft()[1]
            if self._inside + units <= allowed or not self._spent:
                self._spent.append((now, units))
                self._inside += units
                return 0.0
            return self._until_free(now, self._inside + units - allowed)

    def give_back(self, units: int) -> None:
        with self._lock:
            for index in range(len(self._spent) - 1, -1, -1):
                if self._spent[index][1] == units:
                    del self._spent[index]
                    self._inside -= units
                    return

    def close(self, seconds: float) -> None:
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _until_free(self, now: float, needed: int) -> float:
        freed = 0
        for at, units in self._spent:
            freed += units
            if freed >= needed:
                return max(0.01, at + MINUTE - now)
        return MINUTE


TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local closed = tonumber(redis.call('GET', KEYS[2]) or '0')
if now < closed then return tostring(closed - now) end
local units, allowed, minute = tonumber(ARGV[1]), tonumber(ARGV[2]), 60
local seconds, inside, spent = {}, 0, redis.call('HGETALL', KEYS[1])
for i = 1, #spent, 2 do
  local at, count = tonumber(spent[i]), tonumber(spent[i + 1])
  if at <= now - minute - 1 then redis.call('HDEL', KEYS[1], spent[i])
  else seconds[#seconds + 1] = {at, count}; inside = inside + count end
end
if units < 0 or inside + units <= allowed or inside == 0 then
  redis.call('HINCRBY', KEYS[1], math.floor(now), units)
  redis.call('EXPIRE', KEYS[1], 2 * minute)
  return '0'
end
table.sort(seconds, function(a, b) return a[1] < b[1] end)
local freed, needed = 0, inside + units - allowed
for _, pair in ipairs(seconds) do
  freed = freed + pair[2]
  if freed >= needed then return tostring(math.max(0.01, pair[1] + minute + 1 - now)) end
end
return tostring(minute)
"""
"""One step on the server, by its own clock: counts by whole second, so that the minute is 60 to 61 seconds long."""
CLOSE = """
local now = redis.call('TIME')
local until_then = tonumber(now[1]) + tonumber(ARGV[1])
if until_then > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], until_then, 'EX', math.ceil(tonumber(ARGV[1])) + 1)
end
"""


class SharedWindow:
    """In Redis, for all processes of one deployment. ``client`` is a ``redis.Redis``; ``name`` says whose minute it is.
    Its methods raise redis.RedisError when Redis does not answer."""

    def __init__(self, client: Any, name: str) -> None:
        spent, closed = f"dealtrail:units:{name}", f"dealtrail:closed:{name}"
        self._take, self._close = client.register_script(TAKE), client.register_script(CLOSE)
        self._keys, self._closed = [spent, closed], [closed]

    def take(self, units: int, allowed: int) -> float:
        return float(self._take(keys=self._keys, args=[units, allowed]))

    def give_back(self, units: int) -> None:
        self._take(keys=self._keys, args=[-units, 0])

    def close(self, seconds: float) -> None:
        self._close(keys=self._closed, args=[seconds])


def shared_windows(url: str) -> Callable[[str], Window]:
    """Windows by name on the Redis of a URL (redis://, rediss:// or unix://); no connection until one is used."""
    from redis import Redis

    client = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    return lambda name: SharedWindow(client, name)
