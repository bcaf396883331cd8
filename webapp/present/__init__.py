"""Rows as people and programs see them: one shape for each thing, used by the pages and the API alike."""

from webapp.present.cards import companies, contacts
from webapp.present.chances import deals, pipelines, stage_of
from webapp.present.mail import held, interactions, suggestions
from webapp.present.mailboxes import account, ledger
from webapp.present.outgoing import deliveries, event, hook
from webapp.present.rows import by_id, iso
from webapp.present.simulated import moves, simulation

__all__ = [
    "account",
    "by_id",
    "companies",
    "contacts",
    "deals",
    "deliveries",
    "event",
    "held",
    "hook",
    "interactions",
    "iso",
    "ledger",
    "moves",
    "pipelines",
    "simulation",
    "stage_of",
    "suggestions",
]
