"""How many requests of one mailbox are under way at once: in this process, or, in Redis, in all processes together."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from redis import RedisError

from connectors.errors import TryLater

PATIENCE = 20.0
LONGEST = 60.0
"""Seconds after which a lane in Redis is free again though its holder did not say so (it was killed)."""
_BUSY = "All lanes to this mailbox are taken by our other workers; it goes on by itself."
_NO_METER = "The meter that all workers share (Redis) does not answer; it goes on by itself when it does."


class Lanes(Protocol):
    """``hold`` waits until ``count`` lanes (at most all there are) are free and keeps them inside its block. Raises TryLater
    after its patience."""

    def hold(self, count: int = 1) -> Any: ...


class LocalLanes:
    """In this process; first come, first served, so that who needs all of them gets them too."""

    def __init__(self, most: int, *, patience: float = PATIENCE) -> None:
        self.most, self._patience = most, patience
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, count: int = 1) -> Iterator[None]:
        count = min(count, self.most)
        self._take(count)
        try:
            yield
        finally:
            with self._changed:
                self._taken -= count
                self._changed.notify_all()

    def _take(self, count: int) -> None:
        place = object()
        with self._changed:
            self._queue.append(place)
            try:
                free = self._changed.wait_for(
                    lambda: self._queue[0] is place and self._taken + count <= self.most, self._patience
                )
                if not free:
                    raise TryLater("lanes", _BUSY, after=2.0, throttled=True)
                self._taken += count
            finally:
                self._queue.remove(place)
                self._changed.notify_all()


TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return 0 end
for i = 1, tonumber(ARGV[2]) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[4]), ARGV[1] .. ':' .. i) end
redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[4])) + 1)
return 1
"""


class SharedLanes:
    """In Redis, by its clock. Those of this process queue up among themselves first."""

    def __init__(self, client: Any, name: str, most: int, *, patience: float = PATIENCE) -> None:
        self.most, self._patience, self._client = most, patience, client
        self._key = f"dealtrail:lanes:{name}"
        self._script = client.register_script(TAKE)
        self._here = LocalLanes(most, patience=patience)

    @contextmanager
    def hold(self, count: int = 1) -> Iterator[None]:
        count, owner = min(count, self.most), secrets.token_hex(8)
        with self._here.hold(count):
            try:
                self._take(owner, count)
                yield
            finally:
                self._give_back(owner, count)

    def _take(self, owner: str, count: int) -> None:
        deadline = time.monotonic() + self._patience
        try:
            while not self._script(keys=[self._key], args=[owner, count, self.most, LONGEST]):
                if time.monotonic() > deadline:
                    raise TryLater("lanes", _BUSY, after=2.0, throttled=True)
                time.sleep(0.02)
        except RedisError as error:
            raise TryLater("lanes", _NO_METER, after=5.0) from error

    def _give_back(self, owner: str, count: int) -> None:
        try:
            self._client.zrem(self._key, *(f"{owner}:{number}" for number in range(1, count + 1)))
        except RedisError:
            return  # the lane is free by itself after LONGEST


def shared_lanes(url: str) -> Callable[[str, int], Lanes]:
    """Lanes by name on the Redis of a URL; no connection until they are used."""
    from redis import Redis

    client = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    return lambda name, most: SharedLanes(client, name, most)
