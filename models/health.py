"""Health, computed from debts: what is owed, how old the cursor is, what was refused. Nothing here is stored."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, func, select

from models.account import Account, Source, Walk
from models.ledger import LedgerEntry, deleted_since, summary


@dataclass(frozen=True)
class LedgerSum:
    """*in mailbox = logged + held + ignored + internal + owed + unreadable + unopened; missing 0*. What the provider has
    deleted, read before or not, is no longer in the mailbox and is told apart as ``gone``."""

    total: int
    logged: int = 0
    held: int = 0
    ignored: int = 0
    internal: int = 0
    owed: int = 0
    unreadable: int = 0
    unopened: int = 0
    gone: int = 0
    missing: int | None = None
    """Items the provider has and the ledger has not, by the last audit; None before the first."""
    checked_at: datetime | None = None
    ignored_by_reason: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AccountHealth:
    """How an account stands. ``state``: ok | syncing | owed | throttled | reconnect | blocked | operator | gone |
    disconnected. ``sentence`` says it in words, with who must do what."""

    state: str
    sentence: str
    owed: int
    unreadable: int
    oldest_owed_at: datetime | None
    synced_at: datetime | None
    lag_seconds: float | None
    walks: list[str]
    seen: int
    estimate: int | None
    notices: list[str] = field(default_factory=list)
    """Sentences about what was chosen and is no longer there."""


def ledger_sum(session: Session, source_ids: list[int]) -> LedgerSum:
    """The sum of some sources."""
    by_outcome: dict[str, int] = {}
    reasons: dict[str, int] = {}
    left = deleted_since(session, source_ids)
    for (outcome, reason), every in summary(session, source_ids).items():
        count = every - left.get((outcome, reason), 0)
        by_outcome["gone"] = by_outcome.get("gone", 0) + every - count
        by_outcome[outcome] = by_outcome.get(outcome, 0) + count
        if outcome == "ignored":
            reasons[reason] = reasons.get(reason, 0) + count
    facts = [
        source.facts
        for source in session.exec(select(Source).where(col(Source.id).in_(source_ids))).all()
        if source.facts.get("audited_at")
    ]
    checked = min((datetime.fromisoformat(str(fact["audited_at"])) for fact in facts), default=None)
    return LedgerSum(
        total=sum(count for outcome, count in by_outcome.items() if outcome != "gone"),
        missing=sum(int(fact.get("missing", 0)) for fact in facts) if facts else None,
        checked_at=checked,
        ignored_by_reason=reasons,
        **by_outcome,
    )


def account_health(session: Session, account: Account, *, now: datetime) -> AccountHealth:
    """How one account stands now."""
    sources = session.exec(select(Source).where(Source.account_id == account.id)).all()
    ids = [source.id for source in sources if source.id is not None]
    owed, oldest = session.exec(
        select(func.count(), func.min(LedgerEntry.updated_at)).where(
            col(LedgerEntry.source_id).in_(ids), LedgerEntry.outcome == "owed"
        )
    ).one()
    unreadable = session.exec(
        select(func.count()).where(col(LedgerEntry.source_id).in_(ids), LedgerEntry.outcome == "unreadable")
    ).one()
    walks = session.exec(select(Walk).where(col(Walk.source_id).in_(ids), col(Walk.done_at).is_(None))).all()
    live = [source for source in sources if source.kind != "directory" and source.selected and source.gone_at is None]
    synced = min((source.synced_at for source in live if source.synced_at), default=None)
    notices = [_vanished(source) for source in sources if source.selected and source.gone_at is not None]
    asked = [*live, *(source for source in sources if source.kind == "directory")]
    failing = [source for source in asked if source.error]
    state, sentence = _state(account, live, failing, owed=owed, unreadable=unreadable, walking=bool(walks), now=now)
    if notices and not live and state == "syncing":
        state, sentence = "gone", "Nothing of this account is there any more. What was logged stays."
    return AccountHealth(
        state=state,
        sentence=sentence,
        owed=owed,
        unreadable=unreadable,
        oldest_owed_at=oldest,
        synced_at=synced,
        lag_seconds=(now - synced).total_seconds() if synced else None,
        walks=[walk.kind for walk in walks],
        seen=sum(walk.seen for walk in walks),
        estimate=sum(source.estimate or 0 for source in live) or None,
        notices=notices,
    )


def _vanished(source: Source) -> str:
    told = source.error_sentence or "The provider does not list it any more. What was logged from it stays."
    return f"{source.name or source.external_id}: {told}"


def _state(
    account: Account,
    live: list[Source],
    failing: list[Source],
    *,
    owed: int,
    unreadable: int,
    walking: bool,
    now: datetime,
) -> tuple[str, str]:
    if account.disconnected_at is not None:
        return "disconnected", "Disconnected. What was logged stays on the deals."
    if account.refused:
        return account.refused, account.refused_sentence
    if account.throttled_until is not None and account.throttled_until > now:
        return "throttled", f"The provider asked us to wait until {account.throttled_until:%H:%M} UTC; nothing is lost."
    shrunken = [str(source.facts["shrunken"]) for source in live if source.facts.get("shrunken")]
    if shrunken:
        return "owed", shrunken[0]
    if failing:
        return "owed", failing[0].error_sentence
    if walking or not live or any(source.synced_at is None for source in live):
        return "syncing", "The first sync is under way; what matters most comes first."
    if owed or unreadable:
        return "owed", f"{owed} owed, {unreadable} unreadable; the rest is up to date."
    return "ok", "Up to date."
