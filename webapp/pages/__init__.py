"""The pages. Each module's router carries its whole path."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

router = APIRouter()


def refusal(request: Request, status: int, title: str, sentence: str) -> Response:
    """A refusal as a page."""
    return HTMLResponse(f"<h1>{title}</h1><p>{sentence}</p>", status)
