"""Connected accounts, the sources in them, and the leases that keep two workers off one source.

``Account.refused_*`` is a fact (the provider said no, then, in these words), not a health flag: health is computed from
debts in ``models.health``.
"""

import os
import secrets
import socket
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, case, update
from sqlmodel import Field, Session, SQLModel, UniqueConstraint, col, or_, select

from models.addresses import canonical
from models.channel import end_channels
from models.db import table
from models.errors import Conflict, NotFound
from models.fields import UtcDateTime, instant, json_dict, json_list, sealed
from models.service_key import ServiceKey

VISIBILITIES = ("full", "subject", "metadata")
AHEAD = timedelta(seconds=2)
"""How far the clock of another machine, or a request that was written just now, may be ahead of a run's end."""
NAMELESS = "mailbox:"
"""Begins the ``subject`` of an account of which only the address is known."""


class Account(SQLModel, table=True):
    """A grant of a user's at a provider. ``subject`` is the provider's unchanging id of the person, or ``mailbox:`` and the
    address where nobody has told it yet. ``key_id``: a service account reads it, by its administrator's leave."""

    __table_args__ = (UniqueConstraint("provider", "subject"),)
    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", index=True)
    provider: str
    subject: str
    email: str = Field(index=True)
    visibility: str = "full"
    capabilities: list[str] = json_list()
    missing: list[str] = json_list()
    sealed_grant: bytes = sealed()
    key_id: int | None = Field(default=None, foreign_key="service_key.id", index=True)
    connected_at: datetime = instant()
    disconnected_at: datetime | None = instant(None)
    identity_at: datetime | None = instant(None)
    refused: str = ""
    refused_code: str = ""
    refused_sentence: str = ""
    refused_at: datetime | None = instant(None)
    look_again_at: datetime | None = instant(None)
    throttled_until: datetime | None = instant(None)
    grant_owner: str = ""
    grant_until: datetime | None = instant(None)


class AccountAddress(SQLModel, table=True):
    """An address that an account's person sends from. ``manual``: added by hand, kept over refreshes."""

    __tablename__ = "account_address"  # pyright: ignore[reportAssignmentType]
    account_id: int = Field(foreign_key="account.id", primary_key=True, ondelete="CASCADE")
    address: str = Field(primary_key=True, index=True)
    manual: bool = False


class Source(SQLModel, table=True):
    """One thing with a cursor of its own: ``mail``, ``calendar``, or the account's ``directory`` (who it is and which
    sources it holds, looked at once a day). Due when ``next_sync_at`` has passed and nobody holds the lease."""

    __table_args__ = (UniqueConstraint("account_id", "kind", "external_id"),)
    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="account.id", index=True, ondelete="CASCADE")
    kind: str
    external_id: str
    name: str = ""
    selected: bool = True
    cursor: str = ""
    next_sync_at: datetime | None = instant(None, index=True)
    next_audit_at: datetime | None = instant(None, index=True)
    lease_owner: str = ""
    lease_until: datetime | None = instant(None)
    synced_at: datetime | None = instant(None)
    cursor_at: datetime | None = instant(None)
    failures: int = 0
    error: str = ""
    error_sentence: str = ""
    error_at: datetime | None = instant(None)
    gone_at: datetime | None = instant(None)
    estimate: int | None = None
    facts: dict[str, Any] = json_dict()


class Walk(SQLModel, table=True):
    """A resumable way through a source: ``people`` (known people first), ``sent`` (empty address book), ``sweep`` (all
    ids), ``gap`` (after an expired cursor), ``audit``. ``state`` is where it stands; done when ``done_at`` is set."""

    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(foreign_key="source.id", index=True, ondelete="CASCADE")
    kind: str
    state: dict[str, Any] = json_dict()
    seen: int = 0
    created_at: datetime = instant()
    done_at: datetime | None = instant(None)


def lease_owner() -> str:
    """A name for one holder of leases: machine, process, and something random."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def claim_due_sources(session: Session, *, now: datetime, seconds: float, limit: int) -> list[tuple[int, str]]:
    """Lease the sources that are due: (id, owner) of each one won. The claim is a conditional UPDATE, so that of two
    claimants exactly one wins."""
    won = []
    for source_id in session.exec(
        due_sources(now).order_by(col(Source.next_sync_at), col(Source.id)).limit(limit)
    ).all():
        owner = lease_owner()
        if source_id is not None and claim_source(session, source_id, owner=owner, now=now, seconds=seconds):
            won.append((source_id, owner))
    return won


def due_sources(now: datetime) -> Any:
    """The ids of the sources that may be claimed now."""
    return (
        select(Source.id)
        .join(Account, col(Account.id) == Source.account_id)
        .where(
            col(Source.selected),
            col(Source.gone_at).is_(None),
            col(Source.next_sync_at) <= now,
            or_(col(Source.lease_until).is_(None), col(Source.lease_until) <= now),
            col(Account.disconnected_at).is_(None),
            or_(col(Account.refused) == "", col(Account.look_again_at) <= now),
            or_(col(Account.throttled_until).is_(None), col(Account.throttled_until) <= now),
        )
    )


def claim_source(session: Session, source_id: int, *, owner: str, now: datetime, seconds: float) -> bool:
    """Lease one source unless somebody else holds it. It becomes due again when the lease ends; a request that comes
    meanwhile (``next_sync_at`` in the past) outlives the run."""
    sources = table(Source)
    claimed = session.connection().execute(
        update(sources)
        .where(sources.c.id == source_id, or_(sources.c.lease_until.is_(None), sources.c.lease_until <= now))
        .values(
            lease_owner=owner,
            lease_until=now + timedelta(seconds=seconds),
            next_sync_at=now + timedelta(seconds=seconds),
        )
    )
    return claimed.rowcount == 1


def source_and_account(session: Session, source_id: int) -> tuple[Source, Account] | None:
    """A source with the account that it is part of."""
    return session.exec(_BOTH, params={"source": source_id}).first()


_BOTH = select(Source, Account).where(Source.account_id == Account.id, Source.id == bindparam("source"))


def keep_lease(session: Session, source_id: int, owner: str, *, now: datetime, seconds: float) -> bool:
    """Prolong a lease inside the transaction that depends on it. False: it was lost; write nothing."""
    sources = table(Source)
    kept = session.connection().execute(
        update(sources)
        .where(sources.c.id == source_id, sources.c.lease_owner == owner)
        .values(lease_until=now + timedelta(seconds=seconds))
    )
    return kept.rowcount == 1


def release_source(
    session: Session, source_id: int, owner: str, *, now: datetime, next_sync_at: datetime, **changes: Any
) -> None:
    """End a run: due again at ``next_sync_at``, or at once when somebody asked for it meanwhile, also by a clock that is a
    little ahead of ours."""
    sources = table(Source)
    asked = sources.c.next_sync_at <= now + AHEAD
    session.connection().execute(
        update(sources)
        .where(sources.c.id == source_id, sources.c.lease_owner == owner)
        .values(
            lease_owner="",
            lease_until=None,
            next_sync_at=case((asked, sources.c.next_sync_at), else_=bindparam("next_at", next_sync_at, UtcDateTime)),
            **changes,
        )
    )


def release_dead_leases(session: Session, *, now: datetime) -> int:
    """Free the leases whose holder was a process of this machine that no longer runs (after a kill); how many."""
    freed = 0
    for source in session.exec(select(Source).where(Source.lease_owner != "")):
        if is_dead(source.lease_owner):
            source.lease_owner, source.lease_until = "", None
            source.next_sync_at = now
            session.add(source)
            freed += 1
    return freed


def is_dead(owner: str) -> bool:
    """Whether a lease's holder was a process of this machine that no longer runs."""
    host, pid, _ = (owner.split(":") + ["", ""])[:3]
    return host == socket.gethostname() and pid.isdigit() and not _alive(int(pid))


def request_sync(session: Session, account_id: int, *, now: datetime) -> int:
    """Ask for a look at every source of an account now ("the rows are the requests"); how many sources. A refusal is
    looked at again too. Raises NotFound."""
    account = session.get(Account, account_id)
    if account is None or account.disconnected_at is not None:
        raise NotFound("There is no such account.")
    if account.refused:
        account.look_again_at = now
        session.add(account)
    sources = session.exec(select(Source).where(Source.account_id == account_id, col(Source.gone_at).is_(None))).all()
    for source in sources:
        source.next_sync_at = now
        session.add(source)
    return len(sources)


def own_addresses(session: Session) -> set[str]:
    """Every address that any connected account sends from."""
    return set(session.exec(select(AccountAddress.address)).all())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def connect_account(
    session: Session,
    *,
    user_id: int,
    provider: str,
    subject: str,
    email: str,
    addresses: Iterable[str],
    capabilities: Iterable[str],
    missing: Iterable[str],
    sealed_grant: bytes,
    visibility: str,
    now: datetime,
    expected_account_id: int | None = None,
    key_id: int | None = None,
) -> Account:
    """Store a consent: a new account, or a known one whose grant is renewed. Its sources are found by the worker, which
    is due at once. ``key_id``: a service account's grant. Raises Conflict for another mailbox than the one being
    reconnected, or another user's account."""
    account = known_account(session, provider, subject, email)
    if expected_account_id is not None and (account is None or account.id != expected_account_id):
        meant = session.get(Account, expected_account_id)
        raise Conflict(
            f"You signed in as {email}, but this account is {meant.email if meant else 'another one'}. Nothing was "
            "changed; reconnect with the right mailbox, or connect this one as a new account."
        )
    if account is not None and account.user_id != user_id:
        raise Conflict(f"{email} is connected by another user already; an administrator can move or remove it.")
    if account is None:
        account = Account(
            user_id=user_id, provider=provider, subject=subject, email=email, visibility=visibility, connected_at=now
        )
    if not subject.startswith(NAMELESS):
        account.subject = subject
    account.email, account.sealed_grant, account.key_id = email, sealed_grant, key_id
    account.capabilities, account.missing = sorted(capabilities), list(missing)
    if account.disconnected_at is not None:
        account.disconnected_at, account.connected_at = None, now
    clear_refusal(account)
    session.add(account)
    session.flush()
    set_own_addresses(session, account.id or 0, addresses)
    _due_directory(session, account.id or 0, now)
    forget_unused_keys(session)
    return account


def known_account(session: Session, provider: str, subject: str, email: str) -> Account | None:
    """The account of a person: by who they are; by their address only where the one or the other side knows no more than
    that, because an address may pass to somebody else."""
    same = select(Account).where(Account.provider == provider)
    found = session.exec(same.where(Account.subject == subject)).first()
    if found is not None:
        return found
    by_address = same.where(Account.email == email).order_by(col(Account.disconnected_at).is_not(None), col(Account.id))
    if not subject.startswith(NAMELESS):
        by_address = by_address.where(col(Account.subject).startswith(NAMELESS, autoescape=True))
    return session.exec(by_address).first()


def connected_accounts(session: Session, email: str = "") -> list[Account]:
    """The accounts that are not disconnected, oldest first; with ``email`` the one of that address."""
    statement = select(Account).where(col(Account.disconnected_at).is_(None)).order_by(col(Account.id))
    if email:
        statement = statement.where(Account.email == email.strip().lower())
    return list(session.exec(statement).all())


def set_own_addresses(session: Session, account_id: int, addresses: Iterable[str]) -> None:
    """What the provider says the person sends from; addresses added by hand stay."""
    wanted = {canonical(address) for address in addresses} - {""}
    have = {
        row.address: row for row in session.exec(select(AccountAddress).where(AccountAddress.account_id == account_id))
    }
    for address, row in have.items():
        if address not in wanted and not row.manual:
            session.delete(row)
    for address in wanted - have.keys():
        session.add(AccountAddress(account_id=account_id, address=address))
    session.flush()


def find_source(session: Session, account_id: int, kind: str, external_id: str) -> Source | None:
    """One source of an account."""
    return session.exec(
        select(Source).where(Source.account_id == account_id, Source.kind == kind, Source.external_id == external_id)
    ).first()


def clear_refusal(account: Account) -> None:
    """The provider answers again."""
    account.refused = account.refused_code = account.refused_sentence = ""
    account.refused_at = account.look_again_at = account.throttled_until = None


def disconnect_account(session: Session, account: Account, *, now: datetime) -> None:
    """Forget the grant and stop all work; what was logged stays on the deals. Doorbells at the provider keep the grant for
    the one call that stops them."""
    sources = session.exec(select(Source).where(Source.account_id == account.id)).all()
    end_channels(session, [source.id for source in sources], now=now, sealed_grant=account.sealed_grant)
    account.sealed_grant, account.disconnected_at, account.key_id = b"", now, None
    for source in sources:
        source.next_sync_at, source.lease_owner, source.lease_until = None, "", None
        session.add(source)
    session.add(account)
    forget_unused_keys(session)


def forget_unused_keys(session: Session) -> None:
    """A service account's key goes with the last account that was connected with it."""
    session.flush()
    used = select(Account.key_id).where(col(Account.key_id).is_not(None))
    for row in session.exec(select(ServiceKey).where(col(ServiceKey.id).not_in(used))):
        session.delete(row)


def _due_directory(session: Session, account_id: int, now: datetime) -> None:
    directory = find_source(session, account_id, "directory", "") or Source(
        account_id=account_id, kind="directory", external_id="", name="What the account holds"
    )
    session.add(directory)
    session.flush()
    request_sync(session, account_id, now=now)


def request_audit(session: Session, account_id: int, *, now: datetime) -> int:
    """Ask for a comparison of every mailbox and calendar of an account with the ledger; how many sources. One that is
    being audited is not asked twice. Raises NotFound."""
    account = session.get(Account, account_id)
    if account is None or account.disconnected_at is not None:
        raise NotFound("There is no such account.")
    sources = session.exec(
        select(Source).where(
            Source.account_id == account_id,
            Source.kind != "directory",
            col(Source.selected),
            col(Source.gone_at).is_(None),
        )
    ).all()
    ids = [source.id for source in sources]
    under_way = set(session.exec(open_audits(ids)).all())
    for source in sources:
        if source.id not in under_way:
            session.add(Walk(source_id=source.id or 0, kind="audit", created_at=now))
        source.next_sync_at = now
        session.add(source)
    return len(sources)


def open_audits(source_ids: Iterable[int | None]) -> Any:
    """The ids of the sources among these that are being audited."""
    return select(Walk.source_id).where(
        col(Walk.source_id).in_(list(source_ids)), Walk.kind == "audit", col(Walk.done_at).is_(None)
    )
