"""Microsoft keeps the contract."""

from __future__ import annotations

import pytest

from connectors.base import Mailbox
from tests.connectors.contract import MailboxContract, MailHost
from tests.connectors.ms_link import OutlookLink


class OutlookMail:
    """``MailHost`` on the sandbox."""

    def __init__(self, link: OutlookLink) -> None:
        self._world, self._box = link.world, link.box

    def deliver(self, raw: bytes) -> str:
        return self._box.deliver(raw, "inbox")

    def send(self, raw: bytes) -> str:
        return self._box.send(raw)

    def save_draft(self, raw: bytes, draft: str) -> str:
        return self._box.draft_save(raw, draft or None)

    def send_draft(self, draft: str) -> str:
        return self._box.draft_send(draft)

    def delete(self, item_id: str) -> None:
        self._box.purge(item_id)

    def trash(self, item_id: str) -> None:
        self._box.delete(item_id)

    def rescue(self, item_id: str) -> None:
        self._box.move(item_id, "inbox")

    def small_pages(self, size: int) -> None:
        self._world.microsoft.knobs.page_size = size

    def break_line(self, times: int) -> None:
        self._world.faults.add("F30", operation="graph.*", times=times)

    def forget(self) -> None:
        self._box.expire_delta()


class TestOutlook(MailboxContract):
    @pytest.fixture
    def mailbox(self, outlook_link: OutlookLink) -> Mailbox:
        return outlook_link.mailbox

    @pytest.fixture
    def host(self, outlook_link: OutlookLink) -> MailHost:
        return OutlookMail(outlook_link)
