"""Every table, imported once: one whose file nobody has imported is unknown, to the migrations and to foreign keys alike."""

from sqlmodel import SQLModel

from models import (  # noqa: F401
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
from models.imports import store  # noqa: F401

metadata = SQLModel.metadata
