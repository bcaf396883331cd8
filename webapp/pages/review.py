"""Review: one decision at a time, many in a row."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.errors import NotFound
from webapp import timeline
from webapp.deps import Given, Me
from webapp.pages.case import logged_since, read_case
from webapp.pages.context import with_context
from webapp.pages.queue import LATER, MOST_LATER, put_off, read_queue, version_of
from webapp.pages.show import done, live, page
from webapp.security import policy

router = APIRouter()


@router.get("/")
@policy("rep")
def review(request: Request, given: Given, me: Me, item: str = "") -> Response:
    """The queue on the left, one case on the right."""
    with given.db.read() as session:
        queue = read_queue(session, me, put_off(request))
        case = read_case(session, item, me) if item else None
        if case is None and queue.lines:
            case = read_case(session, queue.lines[0].key, me)
        case = with_context(session, case, me)
        logged = logged_since(session, given.clock())
        accounts = len(timeline.visible_accounts(session, me))
    opened = bool(item) and case is not None and case["key"] == item
    return page(
        request, "review.html", queue=queue, case=case, logged=logged, accounts=accounts, opened=opened, active="review"
    )


@router.get("/review/news")
@policy("rep")
def news(request: Request, given: Given, me: Me, item: str = "", v: str = "") -> Response:
    """What the queue looks like now, and a case where none is open; 204 when nothing changed."""
    later = put_off(request)
    with given.db.read() as session:
        version = version_of(session, me, later)
        if v == version:
            return Response(status_code=204)
        queue = read_queue(session, me, later)
        case = read_case(session, queue.lines[0].key, me) if queue.lines and not item else None
        case = with_context(session, case, me)
        logged = logged_since(session, given.clock())
    return live(request, "_review_news.html", version, queue=queue, case=case, current=item, logged=logged)


@router.post("/later/{key}")
@policy("rep")
def put_aside(request: Request, given: Given, me: Me, key: str) -> Response:
    """Look at a case later; for this browser session only."""
    later = put_off(request)
    with given.db.read() as session:
        queue = read_queue(session, me, later)
    if key not in queue.keys:
        raise NotFound("This item does not wait any more.")
    following = queue.after(key)
    answer = done(
        request,
        "Put at the end of the queue.",
        to=f"/?item={following}",
        undo=("DELETE", f"/later/{key}"),
        item=following,
    )
    _keep(answer, [*(one for one in later if one != key), key], set(queue.keys))
    return answer


@router.delete("/later/{key}")
@policy("rep")
def take_up(request: Request, me: Me, key: str) -> Response:
    """Take a case up again."""
    answer = done(request, "Back in its place.", to=f"/?item={key}", item=key)
    later = put_off(request)
    _keep(answer, [one for one in later if one != key], set(later))
    return answer


def _keep(answer: Response, later: list[str], alive: set[str]) -> None:
    kept = [key for key in later if key in alive][-MOST_LATER:]
    answer.set_cookie(LATER, "-".join(kept), httponly=True, samesite="lax")
