"""One mail with a marker in every place where words can stand, planted in a rep's mailbox, and the people who ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import delete, insert, select
from sqlmodel import Session

import house as building
from models.deal import StageChange
from models.erasure import Erasure
from models.event import announce, event_row, place_events
from models.imports.store import Import, keep_part
from models.imports.survey import facts_of
from models.interaction import Block, Interaction
from models.linking import logged_payload
from models.merging import merge_contacts
from models.offering import decide
from models.simulating import propose
from models.simulation import SimulatedMove
from models.suggestion import Signal, Suggestion
from models.tables import metadata
from models.user import ApiKey, create_key, hash_token, sign_in
from models.webhook import Attempt, Delivery, add_webhook
from tests.models import cast
from tests.models.strangers import exchanged
from tests.support import NOW, REP
from tests.web import serving
from webapp.security import COOKIE

SUBJECT, TEXT, SNIPPET, FILE, QUOTE = "QSUBJECT", "QTEXT", "QSNIPPET", "QFILE", "QQUOTE"
PERSON = "QPERSON"
"""Stands in the name of people found in the owner's mail: never for anybody else's eyes."""
MARKS = (SUBJECT, TEXT, SNIPPET, FILE, QUOTE)
PEOPLE = {
    "owner": (REP, "rep"),
    "other": ("col@acme.example", "rep"),
    "manager": ("mag@acme.example", "manager"),
    "admin": ("ada@acme.example", "admin"),
}


@dataclass
class Team:
    """A planted house that answers. ``ids``: what stands for each parameter of a path; ``keys`` and ``cookies`` by person."""

    house: building.House
    base: str
    ids: dict[str, Any]
    keys: dict[str, str]
    cookies: dict[str, tuple[str, str]]
    client: httpx.Client

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Knock as a person (or ``nobody``): with a key at the API, with a cookie and its token at the pages."""
        headers = dict(more.pop("headers", {}))
        if path.startswith("/api/") and who in self.keys:
            headers["authorization"] = f"Bearer {self.keys[who]}"
        elif who in self.cookies:
            cookie, token = self.cookies[who]
            headers |= {"cookie": f"{COOKIE}={cookie}", "x-csrf-token": token}
        return self.client.request(method, path, headers=headers, **more)

    def api(self, method: str, path: str, body: Any = None, *, who: str = "owner", key: str = "") -> httpx.Response:
        """Ask the API; ``{name}`` in the path stands for what was planted. ``key``: an Idempotency-Key."""
        more: dict[str, Any] = {"headers": {"idempotency-key": key} if key else {}}
        if body is not None:
            more["json"] = body
        return self.ask(who, method, f"/api/v1/{path}".format(**self.ids), **more)

    def read(self, path: str, *, who: str = "owner") -> Any:
        """What the API answers with 200."""
        answer = self.api("GET", path, who=who)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def planted(house: building.House, *, level: str = "full", held: bool = False, override: str = "") -> Iterator[Team]:
    """The house with its marked mail, on a real socket."""
    with house.db.write() as session:
        keys, cookies = _people(session)
        ids = _plant(house, session, level=level, held=held, override=override)
    with serving(house) as base, httpx.Client(base_url=base, timeout=20) as client:
        yield Team(house, base, ids, keys, cookies, client)


def photograph(house: building.House) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with house.db.read() as session:
        connection = session.connection()
        return {
            one.name: [dict(row) for row in connection.execute(select(one)).mappings()]
            for one in metadata.sorted_tables
        }


def put_back(house: building.House, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Everything as it was photographed."""
    with house.db.write() as session:
        connection = session.connection()
        for one in reversed(metadata.sorted_tables):
            connection.execute(delete(one))
        for one in metadata.sorted_tables:
            if rows[one.name]:
                connection.execute(insert(one), rows[one.name])


def _people(session: Session) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    keys, cookies = {}, {}
    for who, (email, role) in PEOPLE.items():
        user = cast.member(session, email, role)
        keys[who] = create_key(session, user, now=NOW, name=who)
        token, row = sign_in(session, user, now=building.now(), days=1)
        cookies[who] = (token, row.csrf)
    session.flush()
    return keys, cookies


def _plant(house: building.House, session: Session, *, level: str, held: bool, override: str) -> dict[str, Any]:
    account, source = cast.mailbox(session, visibility=level)
    firm, owner = cast.firm(session), cast.member(session)
    person = cast.buyer(session, company_id=firm.id)
    sale = cast.sale(session, people=[(person, "buyer")], owner_id=owner.id, company_id=firm.id)
    spare = cast.sale(session, name="Spare", owner_id=owner.id)
    columns = _words(person.id or 0) | {"visibility": override}
    waiting = cast.waiting(session, account, source, [person], thread=cast.conversation(session), **columns)
    if held:
        waiting.candidates = [{"deal_id": sale.id, "score": 0.5, "reasons": ["Bea is on it"]}]
        mail = session.get_one(Interaction, waiting.interaction_id)
    else:
        elsewhere = session.get_one(Interaction, waiting.interaction_id)
        elsewhere.subject = elsewhere.text = elsewhere.new_text = elsewhere.snippet = "Nothing"
        elsewhere.attachments = []
        thread = cast.conversation(session)
        mail = cast.letter(session, account=account, source=source, people=[person], on=sale, thread=thread, **columns)
    ids = _around(house, session, mail, sale.id or 0, owner.id or 0, held=held)
    change = session.exec(select(StageChange.id).where(StageChange.deal_id == sale.id)).scalar()  # pyright: ignore
    ids |= _strangers(house, session, owner.id or 0)
    ids |= _rules(session, mail, sale.id or 0, spare.id or 0)
    return ids | {
        "account_id": account.id,
        "company_id": firm.id,
        "contact_id": person.id,
        "deal_id": sale.id,
        "spare_id": spare.id,
        "held_id": waiting.id,
        "user_id": cast.member(session, PEOPLE["other"][0]).id,
        "pipeline_id": sale.pipeline_id,
        "interaction_id": mail.id,
        "change_id": change,
        "event": "interaction.held" if held else "interaction.logged",
        "import_id": _import(session, owner.id or 0),
        "kind": "deals",
        "provider": "google",
        "token": "none-of-ours",
    }


def _rules(session: Session, mail: Interaction, deal_id: int, spare_id: int) -> dict[str, Any]:
    """A look at other settings that would move the mail, and a receipt of somebody who was erased."""
    looked = propose(session, settings={"grace_days": 1}, user_id=cast.member(session).id or 0, now=NOW)
    looked.state, looked.next_run_at = "ready", None
    link = {"deal_id": spare_id, "rule": "address", "score": 1.0, "reasons": ["Bea is a contact"], "stage_id": None}
    before = {"deals": [] if mail.held else [deal_id], "held": mail.held, "outcome": "held" if mail.held else "logged"}
    after = {"outcome": "logged", "reason": "address", "links": [link], "candidates": []}
    move = SimulatedMove(
        simulation_id=looked.id or 0, interaction_id=mail.id or 0, kind="moved", before=before, after=after
    )
    done = Erasure(contact_id=999, by="ada@acme.example", counts={"contacts": 1}, made_at=NOW)
    session.add_all([looked, move, done])
    session.flush()
    return {"simulation_id": looked.id, "erasure_id": done.id, "thread_id": mail.thread_id}


def _strangers(house: building.House, session: Session, owner_id: int) -> dict[str, Any]:
    """Somebody whom the rep may take in, somebody whom they have ignored, and two cards that were made one."""
    waiting, ignored = (
        exchanged(session, house.keyring, f"{who}@stoneworks.example", name=f"{who} {PERSON}") for who in ("sam", "tim")
    )
    assert waiting is not None and ignored is not None
    done = decide(session, house.keyring, [ignored.id or 0], "ignore", user_id=owner_id, now=NOW)
    one, other = (cast.buyer(session, f"{who}@twice.example", name="Twice") for who in ("a", "b"))
    merge = merge_contacts(session, one.id or 0, other.id or 0, user_id=owner_id, now=NOW)
    place_events(session)
    return {"discovery_id": waiting.id, "batch": done.batch, "merge_id": merge.id, "twice_id": one.id}


def _import(session: Session, user_id: int) -> int:
    """A spreadsheet that waits to be started."""
    row = Import(
        user_id=user_id,
        kind="contacts",
        file_name="people.csv",
        columns=["Email"],
        mapping={"Email": "emails"},
        facts=facts_of(["Email"], [["new@fresh.example"]]),
        state="ready",
        total=1,
        made_at=NOW,
    )
    session.add(row)
    session.flush()
    keep_part(session, row.id or 0, 0, [(2, ["new@fresh.example"])])
    return row.id or 0


def _words(contact_id: int) -> dict[str, Any]:
    sender = {"role": "from", "address": "bea@northwind.example", "name": "Bea Buyer", "response": "none"}
    taker = {"role": "to", "address": REP, "name": "Rae", "response": "none", "contact_id": None, "ours": True}
    return {
        "subject": f"Windmill prices {SUBJECT}",
        "text": f"Dear Rae, {TEXT}. {QUOTE}",
        "new_text": f"Dear Rae, {TEXT}. {QUOTE}",
        "snippet": f"Dear Rae {SNIPPET}",
        "attachments": [{"name": f"{FILE}.pdf", "mime": "application/pdf", "size": 10}],
        "parties": [sender | {"contact_id": contact_id, "ours": False}, taker],
    }


def _around(
    house: building.House, session: Session, mail: Interaction, deal_id: int, owner_id: int, *, held: bool
) -> dict[str, Any]:
    """What quotes the mail or tells of it: a suggestion, a signal, events, deliveries."""
    stage = cast.stage(session, "Proposal")
    lead = cast.stage(session, "Lead")
    evidence = {"interaction_id": mail.id, "rule": "budget", "quote": QUOTE, "start": 17, "end": 23}
    hint = Suggestion(
        deal_id=deal_id,
        from_stage_id=lead.id or 0,
        to_stage_id=stage.id or 0,
        meaning="proposal",
        deal_version=1,
        rule="budget",
        reason="Budget is known.",
        evidence=[evidence],
        created_at=NOW,
    )
    hook, _ = add_webhook(
        session, house.keyring, user_id=owner_id, target_url="http://127.0.0.1:9/hook", event="*", now=NOW
    )
    block = Block(kind="address", value="spam@stranger.example", user_id=owner_id, made_at=NOW)
    signal = Signal(interaction_id=mail.id or 0, kind="budget", rule="budget", quote=QUOTE)
    session.add_all([hint, signal, block])
    row = {name: getattr(mail, name) for name in Interaction.model_fields}
    told = logged_payload(row, [], subject=True, text=True)
    kind, whom = ("interaction.held", owner_id) if held else ("interaction.logged", None)
    announce(session, event_row(kind, str(mail.id), told, now=NOW, deal_id=None if held else deal_id, user_id=whom))
    session.flush()
    events = place_events(session)
    event = next(one for one in events if one.kind == kind)
    sent = Delivery(webhook_id=hook.id or 0, event_id=event.id or 0, created_at=NOW, next_attempt_at=NOW)
    session.add(sent)
    session.flush()
    session.add(Attempt(delivery_id=sent.id or 0, at=NOW, status=500, error="no", answer="no", took_ms=1))
    key = create_key(session, cast.member(session), now=NOW, name="spare")
    session.flush()
    key_id = session.exec(select(ApiKey.id).where(ApiKey.key_hash == hash_token(key))).scalar()  # pyright: ignore
    return {
        "suggestion_id": hint.id,
        "hook_id": hook.id,
        "delivery_id": sent.id,
        "block_id": block.id,
        "key_id": key_id,
        "key": f"s{hint.id}",
    }
