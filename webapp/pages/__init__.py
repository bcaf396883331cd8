"""The pages. Each module's router carries its whole path."""

from __future__ import annotations

from fastapi import APIRouter

from webapp.pages import (
    accounts,
    board,
    connect,
    deal_edit,
    deals,
    decisions,
    discovered,
    door,
    erasures,
    firms,
    hooks,
    imports,
    interactions,
    ledger,
    matching,
    merging,
    people,
    review,
    search,
    settings,
    team,
)
from webapp.pages.show import refusal

router = APIRouter()
for part in (
    door,
    review,
    decisions,
    board,
    deals,
    deal_edit,
    interactions,
    people,
    firms,
    discovered,
    merging,
    accounts,
    connect,
    ledger,
    hooks,
    settings,
    team,
    imports,
    search,
    erasures,
    matching,
):
    router.include_router(part.router)

__all__ = ["refusal", "router"]
