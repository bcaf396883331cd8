"""What a page of Gmail's history says about each message (provider-contract 1.4)."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.google.gmail import _fates


@pytest.mark.parametrize(
    ("record", "fates"),
    [
        (
            {"messagesAdded": [{"message": {"id": "a", "labelIds": ["INBOX"]}}], "messages": [{"id": "b"}]},
            {"a": "fetch"},
        ),
        ({"labelsAdded": [{"labelIds": ["INBOX"]}], "messages": [{"id": "a"}]}, {"a": "fetch"}),
        ({"messages": [{"id": "a"}, {}]}, {"a": "fetch"}),
        ({"id": "7"}, {}),
    ],
)
def test_a_record_that_names_no_message_is_read_by_its_list(record: dict[str, Any], fates: dict[str, str]) -> None:
    assert _fates([record]) == fates
