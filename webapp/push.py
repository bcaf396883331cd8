"""Where providers ring. Open to everybody by nature, so each post is checked by its door before anything is looked up, and
answered the same whether we know the mailbox or not. Only rows are written: a source becomes due, a doorbell is looked after, and
nothing else that a post says is believed. No provider is called here.
"""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from connectors.doorbell import Door, Heard, Posted
from connectors.errors import ConnectorError, Forged
from models.doorbell import Ring, hear_channels, hear_mailboxes
from webapp.deps import Deps, Given
from webapp.security import policy

router = APIRouter(include_in_schema=False)
log = structlog.get_logger()


@router.post("/push/google/gmail")
@router.post("/push/google/calendar")
@router.post("/push/microsoft")
@policy("public")
async def ring(request: Request, given: Given) -> Response:
    """A post at one of our doors. One where nobody is to ring is shut."""
    door = given.doors.get(request.url.path.removeprefix("/push/"))
    if door is None:
        return Response(status_code=403)
    body = await _body(request, door.longest)
    if body is None:
        return Response(status_code=413)
    posted = Posted(request.headers, request.query_params, body)
    return await run_in_threadpool(_answered, given, door, posted)


def _answered(given: Deps, door: Door, posted: Posted) -> Response:
    try:
        heard = door.hear(posted)
    except Forged as error:
        log.info("push.refused", code=error.code)
        return Response(status_code=403 if error.signed else 401)
    except ConnectorError as error:
        log.info("push.later", code=error.code)
        return Response(status_code=503)
    if heard.echo is not None:
        return PlainTextResponse(heard.echo, status_code=heard.status)
    return Response(status_code=_written(given, door, heard))


def _written(given: Deps, door: Door, heard: Heard) -> int:
    """Write what was heard; the status to answer with."""
    now, status = given.clock(), heard.status
    if heard.mailboxes:
        hear_mailboxes(given.db, door.provider, heard.mailboxes, now=now)
    if heard.channels:
        rings = [
            Ring(one.channel_id, one.token, one.resource_id, wake=not one.greeting, tend=one.tend)
            for one in heard.channels
        ]
        known = hear_channels(given.db, rings, now=now)
        if known < len(rings):
            log.info("push.unknown", provider=door.provider, count=len(rings) - known)
        status = status if known else heard.unknown or status
    return status


async def _body(request: Request, longest: int) -> bytes | None:
    """The whole body; None for one that is too long to be a notice."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > longest:
            return None
    return bytes(held)
