"""Pages as answers: templates, words for times and amounts, and what a changed row says back (a toast with its undo)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

from webapp.deps import Viewer, deps_of
from webapp.pages import words
from webapp.pages.standing import standing_of

SAID = "dealtrail_said"
SAID_SECONDS = 20


def _templates() -> Environment:
    folder = Path(__file__).parent.parent / "templates"
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "money": words.money,
        "amount": words.amount,
        "count": words.count,
        "moment": words.moment,
        "day": words.day,
        "initials": words.initials,
        "plural": words.plural,
        "meaning": words.meaning,
        "size": words.size,
        "lag": words.lag,
        "why": words.why,
        "tight": words.tight,
        "after": words.after,
        "month": words.month,
    }
    made.globals["days_ago"] = pass_context(lambda context, at: words.days_ago(at, context["now"]))
    made.globals["url"] = url
    return made


def url(path: str, **query: Any) -> str:
    """A path with a query; empty values are left out."""
    given = {name: value for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given)}" if given else path


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """A page, or a part of one."""
    deps = deps_of(request)
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    said = _said(request)
    whole = template[0] != "_"
    standing = standing_of(deps.db, viewer, deps.clock()) if whole and viewer is not None and status != 500 else None
    text = TEMPLATES.get_template(template).render(
        viewer=viewer,
        csrf=viewer.csrf if viewer else "",
        path=request.url.path,
        said=said,
        standing=standing,
        release=deps.version,
        request_base=deps.base_url,
        status=status,
        now=deps.clock(),
        **context,
    )
    answer = HTMLResponse(text, status)
    if said is not None and whole:
        answer.delete_cookie(SAID)
    return answer


def live(request: Request, template: str, version: str, **context: Any) -> Response:
    """The changing regions of a page; 204 when the browser shows this version already."""
    if request.query_params.get("v") == version:
        return Response(status_code=204)
    answer = page(request, template, **context)
    answer.headers["x-version"] = version
    return answer


def done(
    request: Request, text: str, *, to: str, undo: tuple[str, str] | None = None, item: str | None = None
) -> Response:
    """What was done, as a toast. A script refreshes what it shows (``item``: the case to go on with); a plain form goes
    ``to`` a page. ``undo``: (method, address)."""
    told = {"text": text, "undo": {"method": undo[0], "url": undo[1]} if undo else None}
    if request.headers.get("hx-request"):
        events = {"toast": told, "renew": {"item": item}}
        return Response(status_code=204, headers={"hx-trigger": json.dumps(events)})
    return go(to, told)


def go(to: str, said: dict[str, Any] | str | None = None) -> Response:
    """On to another page, which says what was done."""
    answer = RedirectResponse(to, 303)
    if said:
        told = {"text": said, "undo": None} if isinstance(said, str) else said
        value = base64.urlsafe_b64encode(json.dumps(told).encode()).decode()
        answer.set_cookie(SAID, value, max_age=SAID_SECONDS, httponly=True, samesite="lax")
    return answer


def refusal(request: Request, status: int, title: str, sentence: str) -> Response:
    """A refusal as a page with a way back, or as a toast for a script."""
    if request.headers.get("hx-request"):
        events = {"toast": {"text": sentence, "undo": None, "bad": True}} | ({"renew": {}} if status == 409 else {})
        headers = {"hx-trigger": json.dumps(events), "hx-reswap": "none"}
        return Response(status_code=status, headers=headers)
    way_back = "/accounts" if request.url.path.startswith(("/accounts", "/connect")) else "/"
    return page(request, "refusal.html", status=status, title=title, sentence=sentence, way_back=way_back)


def _said(request: Request) -> dict[str, Any] | None:
    raw = request.cookies.get(SAID, "")
    try:
        told = json.loads(base64.urlsafe_b64decode(raw)) if raw else None
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("text"), str) else None


TEMPLATES = _templates()
