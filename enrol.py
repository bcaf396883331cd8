"""A whole team connected with one service account: who there is, who is left out and why, and a grant for each of the rest.

What is asked of the provider runs in some threads at once; what is written is written here, one person a transaction, so that
a run that is broken off has connected whom it says it has, and a second run goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import Session

from connecting import read_text, store_grant
from connectors.base import GrantState, Identity, Person, Team
from connectors.errors import ConnectorError, OperatorFault
from connectors.provider import Granted, granted
from house import House, now, open_house
from models.account import NAMELESS, Account, known_account
from models.addresses import canonical, canonical_domain, domain_of
from models.errors import Invalid, ModelError, NotFound
from models.service_key import keep_key
from models.user import User, find_user
from settings import load

AT_ONCE = 8
OWN_CONSENT = "connected by their own consent already"
NO_ADDRESS = "this is no e-mail address"
LEFT = "they disconnected it themselves; name the address to connect it again"


@dataclass(frozen=True)
class Outcome:
    """What became of one person. ``result``: connected | skipped | refused; ``reason`` says why not, ``missing`` what is
    left out; ``code`` is the refusal in one word."""

    email: str
    result: str
    reason: str = ""
    code: str = ""
    id: int | None = None
    user: str = ""
    new: bool = False
    capabilities: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


Told = Callable[[int, int, Outcome], None]
"""Is told (how many are done, of how many, the last of them)."""


def enrol(
    provider: str,
    key: Path | str,
    *,
    domain: str = "",
    admin: str = "",
    addresses: Iterable[str] = (),
    told: Told = lambda done, total, last: None,
    house: House | None = None,
) -> dict[str, Any]:
    """Connect everybody in ``domain``, or everybody in ``addresses``, with a key (its file, or what ``app_key`` made); ``ok``
    is False when one of them was refused.
    Raises Invalid, NotFound, ConnectorError when there is nobody to connect at all."""
    house = house or open_house()
    team = house.provider(provider).team(read_text(key, "a service account's key") if isinstance(key, Path) else key)
    people = _domain(team, domain, admin) if domain else list(_listed(addresses))
    if not people:
        raise NotFound(f"There is nobody in {domain}." if domain else "No address was named.")
    outcomes = sorted(_Run(house, provider, team, by_name=not domain, told=told).all(people), key=lambda one: one.email)
    return {
        "ok": all(one.result != "refused" for one in outcomes),
        "provider": provider,
        "service_account": team.email,
        "client_id": team.client_id,
        **{result: _shown(outcomes, result) for result in ("connected", "skipped", "refused")},
    }


def app_key(tenant: str, *, certificate: Path | None, secret: Path | None, client_id: str = "") -> str:
    """The key of a Microsoft app that acts in its own name in a tenant; what is not named is taken from the settings. Raises
    Invalid, SettingsError, OperatorFault."""
    from connectors.microsoft import keys

    chosen = load()
    pem = read_text(certificate, "a certificate and its private key (PEM)") if certificate else ""
    shown = read_text(secret, "a client secret") if secret else ""
    if not pem and not shown:
        shown = chosen.secret("microsoft_client_secret")
    return keys.app_key(client_id or chosen.microsoft_client_id, tenant, pem=pem, secret=shown)


def read_addresses(path: Path) -> list[str]:
    """One address a line; blank lines and what follows a # do not count. Raises Invalid."""
    lines = (line.partition("#")[0].strip() for line in read_text(path, "one address a line").splitlines())
    return [line for line in lines if line]


def _domain(team: Team, domain: str, admin: str) -> list[Person]:
    wanted = canonical_domain(domain)
    if not wanted:
        raise Invalid(f"{domain!r} is not a domain; write for example --domain acme.example.")
    return team.people(wanted, admin.strip().lower())


def _listed(addresses: Iterable[str]) -> Iterator[Person]:
    """Each address once, what is none with its reason."""
    for written in dict.fromkeys(address.strip().lower() for address in addresses):
        yield Person(written, skip="" if canonical(written) else NO_ADDRESS)


class _Run:
    """One run over a team."""

    def __init__(self, house: House, provider: str, team: Team, *, by_name: bool, told: Told) -> None:
        self._house, self._provider, self._team, self._by_name = house, provider, team, by_name
        self._told = told
        self._sealed_key = house.keyring.seal_json(team.key)

    def all(self, people: list[Person]) -> Iterator[Outcome]:
        """What became of each. Raises OperatorFault when all are of one domain and it concerns them all."""
        for done, outcome in enumerate(self._each(people), 1):
            self._told(done, len(people), outcome)
            yield outcome

    def _each(self, people: list[Person]) -> Iterator[Outcome]:
        with self._house.db.read() as session:
            why = {person.email: person.skip or self._skip(session, person) for person in people}
        yield from (_left_out(person.email, why[person.email]) for person in people if why[person.email])
        by_domain: dict[str, list[Person]] = {}
        for person in people:
            if not why[person.email]:
                by_domain.setdefault(domain_of(person.email), []).append(person)
        for here in by_domain.values():
            try:
                yield from self._open(here)
            except OperatorFault as error:
                if len(by_domain) == 1:
                    raise
                yield from (_refused(person.email, error) for person in here)

    def _open(self, people: list[Person]) -> Iterator[Outcome]:
        """One domain's people. Raises OperatorFault, before anybody is connected, when it concerns them all."""
        left = list(people)
        scopes: tuple[str, ...] = ()
        while left and not scopes:
            person = left.pop(0)
            try:
                allowed = self._team.allowed(person.email)
                given = granted(self._provider, *self._team.open(person, allowed))
            except OperatorFault:
                raise
            except ConnectorError as error:
                yield _refused(person.email, error)
            else:
                scopes = allowed
                yield self._keep(person, given)
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="enrol")
        try:
            asked = {pool.submit(self._team.open, person, scopes): person for person in left}
            for answer in as_completed(asked):
                yield self._kept(asked[answer], answer)
        finally:
            pool.shutdown(cancel_futures=True)

    def _kept(self, person: Person, answer: Future[tuple[GrantState, Identity]]) -> Outcome:
        try:
            given = granted(self._provider, *answer.result())
        except ConnectorError as error:
            return _refused(person.email, error)
        return self._keep(person, given)

    def _keep(self, person: Person, given: Granted) -> Outcome:
        try:
            return self._stored(person, given)
        except ModelError as error:
            return Outcome(person.email, "refused", str(error), type(error).__name__.lower())

    def _stored(self, person: Person, given: Granted) -> Outcome:
        with self._house.db.write() as session:
            known = known_account(session, self._provider, given.subject, given.email)
            new = known is None or known.disconnected_at is not None
            key = keep_key(
                session,
                provider=self._provider,
                email=self._team.email,
                client_id=self._team.client_id,
                sealed_key=self._sealed_key,
                now=now(),
            )
            owner = session.get(User, known.user_id) if known is not None else None
            email = owner.email if owner is not None else given.email
            account = store_grant(session, self._house.keyring, given, email, name=person.name, key_id=key.id)
            return Outcome(
                email=account.email,
                result="connected",
                id=account.id,
                user=email,
                new=new,
                capabilities=account.capabilities,
                missing=account.missing,
            )

    def _skip(self, session: Session, person: Person) -> str:
        """Why somebody is left out who could be connected."""
        user = find_user(session, person.email)
        if user is not None and user.disabled_at is not None:
            return "their user is disabled in Dealtrail"
        subject = person.subject or NAMELESS + person.email
        return _standing(known_account(session, self._provider, subject, person.email), by_name=self._by_name)


def _standing(known: Account | None, *, by_name: bool) -> str:
    if known is None or known.key_id is not None:
        return ""
    if known.disconnected_at is not None:
        return "" if by_name else LEFT
    return "" if known.refused == "reconnect" else OWN_CONSENT


def _left_out(email: str, reason: str) -> Outcome:
    return Outcome(
        email, "refused" if reason == NO_ADDRESS else "skipped", reason, "invalid" if reason == NO_ADDRESS else ""
    )


def _refused(email: str, error: ConnectorError) -> Outcome:
    return Outcome(email, "refused", error.sentence, error.code)


def _shown(outcomes: list[Outcome], result: str) -> list[dict[str, Any]]:
    """Those with one result, without what does not concern it."""
    kept = (
        ("email", "id", "user", "new", "capabilities", "missing")
        if result == "connected"
        else ("email", "reason", "code")
    )
    return [{name: asdict(one)[name] for name in kept} for one in outcomes if one.result == result]
