"""The JSON API under ``/api/v1``: bearer keys, cursor pages, problem details. Each module's router carries its whole prefix."""

from fastapi import APIRouter

from webapp.api import (
    accounts,
    blocks,
    companies,
    contacts,
    deals,
    deliveries,
    discovered,
    erasures,
    events,
    export,
    health,
    held,
    hooks,
    imports,
    interactions,
    keys,
    levels,
    merges,
    pipelines,
    settings,
    simulations,
    stages,
    suggestions,
    users,
)

NOUNS = (
    health,
    companies,
    contacts,
    discovered,
    merges,
    deals,
    stages,
    pipelines,
    interactions,
    held,
    suggestions,
    accounts,
    users,
    keys,
    settings,
    blocks,
    hooks,
    events,
    deliveries,
    imports,
    export,
    erasures,
    levels,
    simulations,
)
router = APIRouter()
for noun in NOUNS:
    router.include_router(noun.router)
for part in (erasures.of_contact, levels.of_account):
    router.include_router(part)
