"""What a caller does next, as exceptions. Every connector raises these and nothing else.

::

    ConnectorError
    ├── TryLater        wait (at least ``after`` seconds), then the same again; the cursor has not moved
    ├── CursorExpired   fetch a fresh cursor and re-list the gap
    ├── Reconnect       the person who connected must consent again
    ├── Refused         an administrator, a licence or a policy stands in the way; look again in hours
    ├── Gone            the thing itself (a calendar, a folder, a mailbox) no longer exists
    ├── OperatorFault   whoever runs Dealtrail must mend its settings; no account is to blame
    └── Forged          a message claims to come from the provider: refuse it, write nothing

Each carries ``code``, one stable word for logs and tests, and ``sentence``, which tells a person who must do what.
Neither ever holds a token, an address or mail text.
"""

from __future__ import annotations

from typing import Literal

Scope = Literal["request", "source", "account", "domain", "provider"]
"""How far the wait or the refusal reaches. ``provider``: all accounts reached with the same client or service account;
``domain``: those among them whose addresses are of one domain, because its administrator has to act."""


class ConnectorError(Exception):
    """The common root. ``scope`` says how far it reaches."""

    def __init__(self, code: str, sentence: str, *, scope: Scope = "source") -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.scope: Scope = scope


class TryLater(ConnectorError):
    """Not now. ``after`` is in seconds; ``throttled`` tells a quota from a fault of the line."""

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        after: float = 0.0,
        throttled: bool = False,
        scope: Scope = "source",
    ) -> None:
        super().__init__(code, sentence, scope=scope)
        self.after = after
        self.throttled = throttled


class CursorExpired(ConnectorError):
    """The provider no longer knows the cursor; or only a ``part`` of it, and then ``restart`` is a cursor that goes on with
    the rest and reads that part again."""

    def __init__(self, code: str, sentence: str, *, restart: str = "", part: str = "") -> None:
        super().__init__(code, sentence)
        self.restart, self.part = restart, part


class Reconnect(ConnectorError):
    """The grant is dead or too small. ``claims`` is what the next sign-in must satisfy, if the provider said so."""

    def __init__(self, code: str, sentence: str, *, claims: str = "") -> None:
        super().__init__(code, sentence, scope="account")
        self.claims = claims


class Refused(ConnectorError):
    """Blocked by an administrator, a missing licence or a policy. ``after`` (seconds) says when to look again."""

    def __init__(self, code: str, sentence: str, *, after: float = 21_600.0, scope: Scope = "source") -> None:
        super().__init__(code, sentence, scope=scope)
        self.after = after


class Gone(ConnectorError):
    """No longer there. What was logged from it stays."""


class OperatorFault(ConnectorError):
    """Our own configuration is wrong, or an administrator's for us. Pauses all accounts that it concerns and blames none.
    ``after`` in seconds."""

    def __init__(self, code: str, sentence: str, *, after: float = 3_600.0, scope: Scope = "provider") -> None:
        super().__init__(code, sentence, scope=scope)
        self.after = after


class Forged(ConnectorError):
    """A pushed message that is not what it says. ``signed``: the provider did sign it, but for or by somebody else."""

    def __init__(self, code: str, sentence: str, *, signed: bool = False) -> None:
        super().__init__(code, sentence, scope="request")
        self.signed = signed


def error_word(error: BaseException) -> str:
    """One stable word for what went wrong: a connector's ``code``, else the exception's class name."""
    return error.code if isinstance(error, ConnectorError) else type(error).__name__
