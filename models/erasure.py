"""People who asked to be forgotten: what was done, as a receipt, and the keyed hashes that keep them from coming back.

The hashes are under the team's own key (``models.keyring``), so that nobody can tell from them whom they stand for, and are
looked up wherever an address would enter: a mail or meeting (``worker.veil``), a new contact, an import, an offer.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, select

from models.addresses import canonical, weak
from models.db import chunks, insert_new
from models.errors import Conflict
from models.fields import digest, instant, json_dict
from models.keyring import Hasher, hasher

NOBODY = "erased@person.invalid"
"""Stands for an erased person on a mail with others (RFC 2606: ``.invalid`` is nobody's)."""
NAMED = "erased person"
WHY = "an erased person"
"""Reason in the ledger."""
WHAT_IT_IS = (
    "A person was erased from this Dealtrail. The figures say how many rows of each kind were deleted or had the person's "
    "name, addresses and words taken out. Keyed hashes of the addresses stay behind, and nothing else, so that no sync, "
    "import or rediscovery brings the person back. Mail in the mailboxes themselves is untouched."
)


class Erasure(SQLModel, table=True):
    """One erasure. ``contact_id`` is the number that the contact had; ``by`` the address of who did it, at that time;
    ``counts``: rows by what was done to them. ``lifted_at``: the person may be taken in again since."""

    id: int | None = Field(default=None, primary_key=True)
    contact_id: int = Field(index=True)
    user_id: int | None = None
    by: str = ""
    counts: dict[str, int] = json_dict()
    made_at: datetime = instant()
    lifted_at: datetime | None = instant(None)


class ErasedAddress(SQLModel, table=True):
    """The keyed hash of an address that must not come back."""

    __tablename__ = "erased_address"  # pyright: ignore[reportAssignmentType]
    hash: bytes = digest(primary_key=True)
    erasure_id: int = Field(foreign_key="erasure.id", index=True, ondelete="CASCADE")


_ANYBODY = select(ErasedAddress.hash).limit(1)


class Erased(Conflict):
    """An address belongs to somebody who was erased; the sentence does not repeat it."""


def anybody_erased(session: Session) -> bool:
    """Whether anybody's return is guarded against."""
    return session.exec(_ANYBODY).first() is not None


def erased_among(session: Session, addresses: Iterable[str]) -> set[str]:
    """Which of these canonical addresses belong to somebody who was erased, also with a plus tag. One query while nobody
    was. Raises RuntimeError on a database that was opened without its keys."""
    wanted = set(addresses) - {NOBODY}
    if not wanted or not anybody_erased(session):
        return set()
    keyring = session.info.get("keyring")
    if keyring is None:
        raise RuntimeError("somebody was erased from this database; it must be opened with its keys (Database.keyring)")
    known = hasher(session, keyring)
    by_hash: dict[bytes, set[str]] = {}
    for address in wanted:
        for form in _forms(address):
            by_hash.setdefault(_hash(known, form), set()).add(address)
    found: set[str] = set()
    for part in chunks(by_hash):
        for one in session.exec(select(ErasedAddress.hash).where(col(ErasedAddress.hash).in_(part))):
            found |= by_hash[bytes(one)]
    return found


def refuse_erased(session: Session, addresses: Iterable[str]) -> None:
    """Raises Erased for an address of somebody who was erased."""
    if erased_among(session, [canonical(address) for address in addresses]):
        raise Erased(
            "This address belongs to somebody who was erased and is not taken in again. An administrator can lift that."
        )


def leave_tombstones(session: Session, known: Hasher, erasure: Erasure, addresses: Iterable[str]) -> int:
    """Keep the hashes of these addresses; how many."""
    hashes = {_hash(known, form) for address in addresses for form in _forms(address)}
    insert_new(session, ErasedAddress, [{"hash": one, "erasure_id": erasure.id} for one in sorted(hashes)])
    return len(hashes)


def lift(session: Session, erasure: Erasure, *, now: datetime) -> None:
    """The person may be taken in again; what was erased stays erased. Raises Conflict."""
    if erasure.lifted_at is not None:
        raise Conflict("This was lifted already.")
    for row in session.exec(select(ErasedAddress).where(ErasedAddress.erasure_id == erasure.id)):
        session.delete(row)
    erasure.lifted_at = now
    session.add(erasure)
    session.flush()


def receipt(row: Erasure) -> dict[str, Any]:
    """What was done, to keep: no name, no address."""
    return {
        "id": row.id,
        "contact_id": row.contact_id,
        "erased_at": row.made_at.isoformat().replace("+00:00", "Z"),
        "by": row.by,
        "counts": dict(sorted(row.counts.items())),
        "lifted_at": row.lifted_at.isoformat().replace("+00:00", "Z") if row.lifted_at else None,
        "what_it_is": WHAT_IT_IS,
    }


def _forms(address: str) -> set[str]:
    return {address, weak(address)} - {""}


def _hash(known: Hasher, form: str) -> bytes:
    """Apart from the hashes of the ledger, so that the two cannot be matched."""
    return known.digest(f"erased:{form}")
