"""Nobody in the place of an erased person, before anything else looks at an item.

An item from a provider still names them and may quote them. Here, at the door, their party becomes nobody, their name and
addresses are covered, and what is quoted below the sender's own words is dropped: so that no row further in can hold them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from sqlmodel import Session

from connectors.items import Attachment, Body, Meeting, Message, Party
from models.addresses import canonical
from models.erasure import NAMED, NOBODY, anybody_erased, erased_among
from models.redaction import Redactor, redactor

Content = TypeVar("Content", bound=Message | Meeting)
_ADDRESS = re.compile(r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
MOST_NAMED = 200
"""Addresses looked at in one text."""


def veiled(session: Session, items: Mapping[str, Content]) -> dict[str, Content]:
    """The items by id, with every erased person taken out of them."""
    if not anybody_erased(session):
        return dict(items)
    named = {key: _named(item) for key, item in items.items()}
    erased = erased_among(session, {one for some in named.values() for one in some})
    if not erased:
        return dict(items)
    return {key: _without(item, named[key] & erased) if named[key] & erased else item for key, item in items.items()}


def _named(item: Message | Meeting) -> set[str]:
    """Every address on an item or in its words."""
    texts = (
        [item.subject, item.description]
        if isinstance(item, Meeting)
        else [item.subject, item.body.text if item.body else ""]
    )
    written = [found for text in texts for found in _ADDRESS.findall(text)[:MOST_NAMED]]
    return {canonical(one) for one in (*(party.address for party in item.parties), *written)} - {""}


def _without(item: Content, erased: set[str]) -> Content:
    theirs = [party for party in item.parties if canonical(party.address) in erased]
    hide = redactor({*erased, *(party.address for party in theirs)}, [party.name for party in theirs])
    parties = tuple(_veil(party, erased) for party in item.parties)
    if isinstance(item, Meeting):
        words = {"subject": hide.mask(item.subject), "description": hide.mask(item.description)}
        return replace(item, parties=parties, **words)
    return replace(
        item,
        parties=parties,
        subject=hide.mask(item.subject),
        body=_body(item.body, hide),
        attachments=tuple(_attachment(one, hide) for one in item.attachments),
        bounced=tuple(one for one in item.bounced if canonical(one) not in erased),
        message_id="" if _spells(item.message_id, erased) else item.message_id,
        references=tuple(one for one in item.references if not _spells(one, erased)),
        machine_reason=hide.mask(item.machine_reason),
    )


def _veil(party: Party, erased: Iterable[str]) -> Party:
    """Their answer to an invitation is theirs too."""
    return Party(party.role, NOBODY, NAMED) if canonical(party.address) in erased else party


def _spells(message_id: str, erased: Iterable[str]) -> bool:
    """Whether a Message-ID is made of one of the addresses."""
    return any(one in message_id.lower() for one in erased)


def _body(body: Body | None, hide: Redactor) -> Body | None:
    if body is None:
        return None
    own = hide.mask(body.new)
    return Body(own, own, links=tuple(one for one in body.links if not hide.finds(one)), truncated=body.truncated)


def _attachment(one: Attachment, hide: Redactor) -> Attachment:
    return replace(one, name=hide.mask(one.name))
