"""An Outlook mailbox for whatever fills mailboxes by Gmail's labels: sandbox/bulk.py, sandbox/loaders.py.

fill(labelled(world.outlook("ina@acme.example")), 20_000, people=["bea@northwind.example"])
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sandbox.parcel import Envelope, Raw

if TYPE_CHECKING:
    from sandbox.clock import Clock
    from sandbox.microsoft.outlook import OutlookBox

_FOLDERS = {"SENT": "sentitems", "DRAFT": "drafts", "SPAM": "junkemail", "TRASH": "deleteditems", "INBOX": "inbox"}


class Labelled:
    """Takes labels, delivers into the folder that they mean; mail with none of them is in the archive."""

    def __init__(self, box: OutlookBox) -> None:
        self.box, self.email = box, box.email

    @property
    def clock(self) -> Clock:
        return self.box.clock

    def deliver(
        self,
        raw: Raw,
        labels: Iterable[str] | None = None,
        at: float | None = None,
        *,
        envelope: Envelope | None = None,
        history: bool = True,
    ) -> str:
        given = None if labels is None else set(labels)
        folder = None if given is None else next((_FOLDERS[one] for one in _FOLDERS if one in given), "archive")
        read = None if given is None else "UNREAD" not in given
        return self.box.deliver(raw, folder, at, read=read, envelope=envelope, history=history)


def labelled(box: OutlookBox) -> Any:
    """The mailbox as the fillers take it."""
    return Labelled(box)
