"""Erasing a person: afterwards not one column of one table knows them, on both databases, and what is others' stays."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, String
from sqlmodel import AutoString, Session, col, select

from models import erasing
from models.account import Source, Walk
from models.addresses import weak
from models.blocks import add_block
from models.contact import Contact, add_contact, contact_for_address, set_addresses
from models.db import Database, table
from models.deal import Deal, StageChange
from models.discovery import Discovery
from models.erasure import NOBODY, WHY, Erased, Erasure, erased_among, lift, receipt
from models.errors import Conflict, NotFound
from models.event import Event, announce, event_row, place_events
from models.idempotency import IdempotentAnswer
from models.imports.store import Import, ImportFault, ImportPart
from models.interaction import Choice, Interaction, InteractionContact, Link, ThreadKey
from models.keyring import Keyring, hasher
from models.ledger import LedgerEntry, LedgerHash
from models.leftovers import WORDS
from models.linking import interaction_payload
from models.merging import Merge
from models.suggestion import Signal, Suggestion
from models.tables import metadata
from models.webhook import Attempt, Delivery, add_webhook
from tests.models import cast
from tests.models.imported import Desk
from tests.support import NOW, REP
from tests.worker.scene import places_of

BEA, CAS = "bea@northwind.example", "cas@northwind.example"
TAGGED = "bea+shop@northwind.example"
TRACES = ("bea@northwind", "bea+shop", "Bea", "Buyer", "zebra", "+31 20 555 0123")
"""Each stands in many columns before, in none afterwards. ``zebra`` is a word of hers alone."""

KEPT = {
    "our own people and their grants": {"user", "account", "account_address", "api_key", "web_session", "service_key"},
    "our own words": {
        "team_setting",
        "pipeline",
        "stage",
        "channel",
        "source",
        "ledger_entry",
        "thread",
        "copy",
        "delivery",
    },
    "a firm, not a person": {"company", "company_domain"},
    "deleted with the person": {"contact", "contact_address", "discovery", "merge", "choice", "thread_key", "block"},
    "cleared in a way of its own": {"interaction", "walk", "import_part", "idempotent_answer"},
    "about the erasure itself": {"erasure"},
    "a subscription, made by its owner": {"webhook"},
}
KEPT_COLUMNS = {
    ("deal", "currency"), ("deal", "external_id"), ("stage_change", "source"), ("link", "rule"), ("held", "state"),
    ("suggestion", "meaning"), ("suggestion", "state"), ("suggestion", "rule"), ("suggestion", "evidence_key"),
    ("signal", "kind"), ("signal", "rule"), ("signal", "lang"), ("event", "uid"), ("event", "once"), ("event", "kind"),
    ("import", "kind"), ("import", "how"), ("import", "columns"), ("import", "mapping"), ("import", "certainty"),
    ("import", "date_order"), ("import", "currency"), ("import", "state"), ("import", "checked"), ("import", "lease_owner"),
    ("simulation", "basis"), ("simulation", "state"), ("simulation", "place"), ("simulation", "counts"),
    ("simulation", "lease_owner"), ("simulated_move", "kind"), ("simulated_move", "state"), ("deal_contact", "role"),
}  # fmt: skip
"""Words of ours in tables that also hold people's."""


def party(role: str, address: str, name: str = "", key: int | None = None) -> dict[str, Any]:
    ours = address.endswith("@acme.example")
    return {"role": role, "address": address, "name": name, "response": "none", "contact_id": key, "ours": ours}


def everywhere(session: Session, keyring: Keyring) -> dict[str, int]:
    """Bea in every place where somebody can stand; the ids of what is to be looked at."""
    account, source = cast.mailbox(session)
    firm = cast.firm(session)
    bea = cast.buyer(session, BEA, company_id=firm.id, phone="+31 20 555 0123")
    set_addresses(session, bea, [BEA, TAGGED])
    cas = cast.buyer(session, CAS, name="Cas Clerk", company_id=firm.id)
    deal = cast.sale(session, "Mill for Bea Buyer", people=[(bea, "buyer")], company_id=firm.id)
    deal.next_step = "Call Bea Buyer"
    thread, other = cast.conversation(session), cast.conversation(session)
    more: dict[str, Any] = {"account": account, "source": source}
    hers, his = party("from", BEA, "Bea Buyer", bea.id), party("to", CAS, "Cas Clerk", cas.id)
    rae = party("to", REP, "Rae")
    words = {
        "subject": "Zebra: zebra",
        "text": "The zebra is fine.",
        "new_text": "The zebra is fine.",
        "snippet": "The zebra",
    }
    whole = cast.letter(session, people=[bea], on=deal, thread=thread, parties=[hers, rae], **words, **more)
    session.add(ThreadKey(key=f"m:1.{BEA}", thread_id=thread))
    wrote = cast.letter(session, people=[bea, cas], on=deal, thread=other, parties=[hers, rae, his], **words, **more)
    session.add(ThreadKey(key="m:plain@x", thread_id=other))
    answer = cast.letter(
        session,
        people=[bea, cas],
        on=deal,
        thread=other,
        parties=[party("from", REP, "Rae"), his, party("cc", TAGGED, "Buyer, Bea")],
        direction="outbound",
        subject="Re: for Bea",
        new_text="Hi Cas and Bea, the price is fine.",
        text="Hi Cas and Bea, the price is fine.\n> The zebra is fine.",
        snippet="Hi Cas and Bea",
        attachments=[{"name": "Offer Bea Buyer.pdf", "mime": "application/pdf", "size": 3}],
        links=[f"https://x.example/?to={BEA}", "https://x.example/plain"],
        **more,
    )
    mention = cast.letter(
        session,
        people=[cas],
        on=deal,
        parties=[party("from", CAS, "Cas Clerk", cas.id), rae],
        subject="About BEA BUYER",
        new_text=f"Write to Bea\nBuyer ({BEA}).",
        text=f"Write to Bea\nBuyer ({BEA}).\n> The zebra is fine.",
        **more,
    )
    plain = cast.letter(
        session,
        people=[cas],
        on=deal,
        parties=[party("from", CAS, "Cas Clerk", cas.id), rae],
        subject="Lunch",
        text="Soup",
        **more,
    )
    for link in session.exec(select(Link)).all():
        link.reasons = ["Bea Buyer is a contact"]
    ids = {"whole": whole.id, "wrote": wrote.id, "answer": answer.id, "mention": mention.id, "plain": plain.id}
    around(session, keyring, deal, bea, {name: key or 0 for name, key in ids.items()}, source)
    return {name: key or 0 for name, key in ids.items()} | {
        "bea": bea.id or 0,
        "cas": cas.id or 0,
        "deal": deal.id or 0,
    }


def around(session: Session, keyring: Keyring, deal: Deal, bea: Contact, ids: dict[str, int], source: Source) -> None:
    """Everything that repeats, quotes or leads to her."""
    known = hasher(session, keyring)
    user = cast.member(session)
    for name in ("whole", "wrote", "answer"):
        quote = "Bea, the price" if name == "answer" else "zebra"
        session.add(Signal(interaction_id=ids[name], kind="budget", rule="r", quote=quote, value="Bea Buyer"))
    evidence = [
        {"interaction_id": ids[n], "rule": "r", "quote": "zebra", "start": 4, "end": 9} for n in ("whole", "plain")
    ]
    evidence[1]["quote"] = "Soup"
    stages = [cast.stage(session, name).id or 0 for name in ("Lead", "Proposal")]
    session.add(
        Suggestion(
            deal_id=deal.id or 0,
            from_stage_id=stages[0],
            to_stage_id=stages[1],
            meaning="proposal",
            deal_version=1,
            rule="r",
            reason="Bea Buyer said so",
            evidence=evidence,
            created_at=NOW,
        )
    )
    change = session.exec(select(StageChange)).first()
    assert change is not None
    change.before = {"next_step": "Call Bea Buyer"}
    for name in ("whole", "wrote", "answer", "mention"):
        row = session.get_one(Interaction, ids[name])
        told = interaction_payload(session, row, list(session.exec(select(Link).where(Link.interaction_id == row.id))))
        announce(session, event_row("interaction.logged", f"{row.id}:{deal.id}", told, now=NOW, deal_id=deal.id))
    hook, _ = add_webhook(session, keyring, user_id=user.id or 0, target_url="https://x.example", event="*", now=NOW)
    for event in place_events(session):
        sent = Delivery(webhook_id=hook.id or 0, event_id=event.id or 0, created_at=NOW)
        session.add(sent)
        session.flush()
        session.add(
            Attempt(delivery_id=sent.id or 0, at=NOW, status=400, answer=f"I do not know Bea Buyer {event.kind}")
        )
    ignored = LedgerEntry(source_id=source.id or 0, item_id="ignored", outcome="ignored", updated_at=NOW)
    session.add(ignored)
    session.flush()
    session.add_all(LedgerHash(entry_id=ignored.id or 0, hash=known.digest(form)) for form in (BEA, CAS))
    session.add(
        Walk(
            source_id=source.id or 0, kind="people", state={"terms": [CAS, BEA, "@x.example"], "at": 2}, created_at=NOW
        )
    )
    session.add(Choice(kind="contact", key=str(bea.id), deal_id=deal.id or 0, made_at=NOW))
    add_block(session, kind="address", value=BEA, user_id=None, now=NOW)
    offer = {"user_id": user.id or 0, "last_at": NOW, "found_at": NOW, "kept_at": NOW}
    session.add(Discovery(hash=known.digest(BEA), address=BEA, name="Bea Buyer", **offer))
    announce(
        session,
        event_row(
            "contact.discovered",
            f"{user.id}:{known.digest(BEA).hex()}",
            {"id": 1, "address": BEA, "name": "Bea Buyer"},
            now=NOW,
        ),
    )
    session.add(
        Merge(
            kind="contact",
            kept_id=bea.id or 0,
            gone_id=99,
            gone_name="Bea B. Buyer",
            record={"row": {"name": "Bea"}},
            made_at=NOW,
        )
    )
    files(session, keyring, user.id or 0)


def files(session: Session, keyring: Keyring, user_id: int) -> None:
    """A spreadsheet that waits, and an answer of today."""
    sheet = Import(
        user_id=user_id, kind="contacts", file_name="Bea Buyer.csv", samples=[["Bea Buyer", BEA]], made_at=NOW
    )
    session.add(sheet)
    session.flush()
    packed = zlib.compress(json.dumps([[1, ["Bea Buyer", BEA]], [2, ["Zo\u00eb", "zoe@x.example"]]]).encode())
    session.add(ImportPart(import_id=sheet.id or 0, number=0, packed=packed))
    session.add(ImportFault(import_id=sheet.id or 0, row=1, reason=f"{BEA} is twice here", cells=["Bea Buyer", BEA]))
    for key, body in (("hers", {"name": "Bea Buyer"}), ("else", {"name": "Zo\u00eb"})):
        sealed = keyring.seal(json.dumps(body).encode()).decode()
        session.add(
            IdempotentAnswer(user_id=user_id, key=key, fingerprint="x", status=201, body=sealed, created_at=NOW)
        )


@pytest.fixture
def erased(any_db: Database, keyring: Keyring) -> tuple[Database, dict[str, int], Erasure]:
    with any_db.write() as session:
        ids = everywhere(session, keyring)
    assert all(places_of(any_db, trace) for trace in TRACES), "else the test below would prove nothing"
    with any_db.write() as session:
        made = erasing.erase(session, keyring, ids["bea"], user_id=1, by="ada@acme.example", now=NOW)
    return any_db, ids, made


def test_no_column_of_any_table_knows_her_any_more(
    erased: tuple[Database, dict[str, int], Erasure], keyring: Keyring
) -> None:
    db, _, _ = erased
    assert {trace: places_of(db, trace) for trace in TRACES} == {trace: [] for trace in TRACES}
    with db.read() as session:
        part = session.exec(select(ImportPart)).one()
        told = json.loads(zlib.decompress(part.packed))
        assert "Bea" not in str(told) and told[1][1] == ["Zo\u00eb", "zoe@x.example"]
        assert [row.key for row in session.exec(select(IdempotentAnswer))] == ["else"]
        digest = hasher(session, keyring).digest
        left = set(session.exec(select(LedgerHash.hash)).all())
        assert digest(BEA) not in left and digest(weak(TAGGED)) not in left and digest(CAS) in left


def test_what_is_others_stays(erased: tuple[Database, dict[str, int], Erasure]) -> None:
    db, ids, _ = erased
    with db.read() as session:
        assert session.get(Interaction, ids["whole"]) is None
        assert session.exec(select(InteractionContact).where(InteractionContact.contact_id == ids["bea"])).all() == []
        wrote = session.get_one(Interaction, ids["wrote"])
        assert (wrote.text, wrote.subject, wrote.snippet) == ("", "", "") and wrote.erased_at == NOW
        assert [one["address"] for one in wrote.parties] == [NOBODY, REP, CAS]
        answer = session.get_one(Interaction, ids["answer"])
        assert answer.text == answer.new_text == "Hi Cas and ███, the price is fine."
        assert answer.links == ["https://x.example/plain"] and answer.attachments[0]["size"] == 3
        mention = session.get_one(Interaction, ids["mention"])
        assert mention.new_text.startswith("Write to ███") and "zebra" not in mention.text
        plain = session.get_one(Interaction, ids["plain"])
        assert (plain.subject, plain.text, plain.erased_at) == ("Lunch", "Soup", None)
        assert session.get(Deal, ids["deal"]) is not None and session.get(Contact, ids["cas"]) is not None
        deals = {link.interaction_id for link in session.exec(select(Link))}
        assert deals == {ids[name] for name in ("wrote", "answer", "mention", "plain")}


def test_the_ledger_still_adds_up_and_events_keep_their_place(erased: tuple[Database, dict[str, int], Erasure]) -> None:
    db, ids, _ = erased
    with db.read() as session:
        entries = session.exec(select(LedgerEntry).where(LedgerEntry.reason == WHY)).all()
        assert [(one.outcome, one.interaction_id) for one in entries] == [("ignored", None)]
        events = session.exec(
            select(Event).where(Event.kind == "interaction.logged").order_by(col(Event.position))
        ).all()
        assert [event.interaction_id for event in events] == [ids[n] for n in ("whole", "wrote", "answer", "mention")]
        assert events[0].payload["erased"] and events[0].payload["parties"] == []
        hint = session.exec(select(Suggestion)).one()
        assert hint.state == "stale" and [one["quote"] for one in hint.evidence] == ["", "Soup"]
        assert session.exec(select(Walk)).one().state == {"terms": [CAS, "@x.example"], "at": 1}


def test_an_id_is_never_used_again(erased: tuple[Database, dict[str, int], Erasure]) -> None:
    """Else an event of the erased one would keep that of a new one from being told."""
    db, ids, _ = erased
    with db.write() as session:
        erasing_all = session.exec(select(Interaction.id)).all()
        assert cast.letter(session).id not in {*erasing_all, *ids.values()}
        assert cast.buyer(session, "new@x.example").id not in (ids["bea"], ids["cas"])


def test_she_does_not_come_back_by_any_verb(erased: tuple[Database, dict[str, int], Erasure]) -> None:
    db, ids, made = erased
    for address in (BEA, BEA.upper(), TAGGED, "bea+other@northwind.example"):
        with db.write() as session, pytest.raises(Erased) as told:
            add_contact(session, name="", emails=[address], now=NOW)
        assert "bea" not in str(told.value).lower()
    with db.write() as session, pytest.raises(Erased):
        set_addresses(session, session.get_one(Contact, ids["cas"]), [CAS, BEA])
    with db.write() as session, pytest.raises(Erased):
        contact_for_address(session, BEA, now=NOW)
    with db.write() as session:
        assert erased_among(session, [BEA, CAS, TAGGED]) == {BEA, TAGGED}
        lift(session, session.get_one(Erasure, made.id), now=NOW)
        assert erased_among(session, [BEA, CAS]) == set()
        assert add_contact(session, name="Bea", emails=[BEA], now=NOW).id
    with db.write() as session, pytest.raises(Conflict):
        lift(session, session.get_one(Erasure, made.id), now=NOW)


def test_a_receipt_tells_counts_and_nothing_of_her(erased: tuple[Database, dict[str, int], Erasure]) -> None:
    _, ids, made = erased
    paper = receipt(made)
    assert (paper["contact_id"], paper["by"], paper["erased_at"]) == (
        ids["bea"],
        "ada@acme.example",
        "2026-11-02T09:00:00Z",
    )
    counts = paper["counts"]
    assert (counts["interactions_deleted"], counts["interactions_redacted"], counts["mentions"]) == (1, 2, 1)
    assert (counts["addresses"], counts["tombstones"], counts["offers"], counts["merges"]) == (2, 2, 1, 1)
    assert all(trace not in json.dumps(paper) for trace in TRACES)


def test_a_look_before_changes_nothing(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        ids = everywhere(session, keyring)
    before = {trace: places_of(any_db, trace) for trace in TRACES}
    counts = erasing.preview(any_db, keyring, ids["bea"], now=NOW)
    assert {trace: places_of(any_db, trace) for trace in TRACES} == before
    with any_db.write() as session:
        made = erasing.erase(session, keyring, ids["bea"], user_id=1, by="x", now=NOW)
    assert made.counts == counts


def test_a_colleague_is_not_erased_and_nobody_twice(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        cast.mailbox(session)
        colleague = add_contact(session, name="Rae", emails=["rae.other@acme.example"], now=NOW)
        with pytest.raises(Conflict, match="team's own"):
            erasing.erase(session, keyring, colleague.id or 0, user_id=1, by="x", now=NOW)
        with pytest.raises(NotFound):
            erasing.erase(session, keyring, 9_999, user_id=1, by="x", now=NOW)


def test_a_database_without_its_keys_does_not_let_anybody_slip_through(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        erasing.erase(session, keyring, cast.buyer(session, BEA).id or 0, user_id=1, by="x", now=NOW)
    any_db.keyring = None
    with any_db.write() as session, pytest.raises(RuntimeError, match="keys"):
        add_contact(session, name="", emails=[BEA], now=NOW)


def test_every_column_that_can_hold_words_has_its_answer() -> None:
    """A new column fails here until somebody says what an erasure does with it."""
    swept = {(table(model).name, name) for model, names in WORDS.items() for name in names}
    kept = {one for some in KEPT.values() for one in some}
    open_ones = [
        f"{one.name}.{column.name}"
        for one in metadata.sorted_tables
        for column in one.columns
        if isinstance(column.type, JSON | String | AutoString)
        and one.name not in kept
        and (one.name, column.name) not in swept | KEPT_COLUMNS
    ]
    assert open_ones == []


def test_a_spreadsheet_does_not_bring_her_back(
    erased: tuple[Database, dict[str, int], Erasure], keyring: Keyring, tmp_path: Path
) -> None:
    """Her row is refused with a reason, and kept nowhere; her colleague's is taken."""
    db, _, _ = erased
    rows = [["Name", "Email"], ["Bea Buyer", BEA], ["Dirk", "dirk@northwind.example"]]
    Desk(db, keyring, tmp_path).take("contacts", rows)
    with db.read() as session:
        fault = session.exec(select(ImportFault).order_by(col(ImportFault.id).desc())).first()
        assert fault is not None and "was erased" in fault.reason and fault.cells == []
        assert session.exec(select(Contact).where(Contact.name == "Dirk")).one()
        assert session.exec(select(Contact).where(Contact.name == "Bea Buyer")).all() == []
