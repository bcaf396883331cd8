"""Every table, imported once, so that the migrations and the tests see them all."""

from sqlmodel import SQLModel

from models import (
    account,
    contact,
    deal,
    event,
    idempotency,
    interaction,
    ledger,
    pipeline,
    setting,
    suggestion,
    user,
    webhook,
)

ROOMS = (account, contact, deal, event, idempotency, interaction, ledger, pipeline, setting, suggestion, user, webhook)
metadata = SQLModel.metadata
