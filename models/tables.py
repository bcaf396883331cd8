"""Every table, imported once, so that the migrations and the tests see them all."""

from sqlmodel import SQLModel

from models import (
    account,
    channel,
    contact,
    deal,
    discovery,
    erasure,
    event,
    idempotency,
    interaction,
    ledger,
    merging,
    pipeline,
    service_key,
    setting,
    simulation,
    suggestion,
    user,
    webhook,
)
from models.imports import store

ROOMS = (
    account,
    channel,
    contact,
    deal,
    discovery,
    erasure,
    event,
    idempotency,
    interaction,
    ledger,
    merging,
    pipeline,
    service_key,
    setting,
    store,
    simulation,
    suggestion,
    user,
    webhook,
)
metadata = SQLModel.metadata
