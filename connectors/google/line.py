"""The socket under Google's client library (httplib2; provider-contract 6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httplib2

BIGGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer once it is decompressed."""


class Line(httplib2.Http):
    """Follows no redirect, unpacks no bomb, and answers no challenge.

    A 401 is google-auth's matter, which fetches another token. httplib2 would first read the challenge for a scheme of its own,
    of which there is none here, and take one that it cannot read (``Bearer`` with nothing after it, RFC 9110 11.3) for a broken
    line: the token would never be renewed.
    """

    def __init__(self, timeout: float, *, biggest: int = BIGGEST_ANSWER) -> None:
        super().__init__(timeout=timeout)
        self.follow_redirects = False
        if hasattr(self, "decode_limit_hard"):
            self.decode_limit_hard = biggest

    def _auth_from_challenge(self, *_: Any) -> Iterator[Any]:
        return iter(())
