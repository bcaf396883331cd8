"""Everything out, for administrators."""

from __future__ import annotations

from typing import Literal

from fastapi.responses import Response

from webapp import exports
from webapp.api.idempotency import api_router
from webapp.deps import Given, Me
from webapp.security import policy

router = api_router("export")


@router.get("")
@policy("admin")
def export(deps: Given, me: Me, format: Literal["csv", "xlsx"] = "csv", text: bool = False) -> Response:
    """Companies, contacts, deals, their history and timelines: CSV files in a zip, or a workbook. ``text``: with subjects
    and texts, as far as the caller may read them."""
    return exports.export(deps, me, format, text=text)
