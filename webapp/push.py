"""Where providers ring. Open to everybody by nature, so each message is checked before anything is looked up, and answered
the same whether we know the mailbox or not. Only rows are written: a source becomes due, and nothing else that a message
says is believed. No provider is called here.
"""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from connectors.errors import ConnectorError, Forged
from connectors.google.rings import channel_notice, pushed_notice
from models.doorbell import channel_for, hear_channel, hear_mailboxes
from webapp.deps import Deps, Given
from webapp.security import policy

router = APIRouter(include_in_schema=False)
LONGEST = 65_536
"""Bytes of a message that are read; a notice has some hundred."""
log = structlog.get_logger()


@router.post("/push/google/gmail")
@policy("public")
async def gmail(request: Request, given: Given) -> Response:
    """A Pub/Sub subscription that pushes: 204 also for what we cannot use, or it would come again for a week."""
    body = await _body(request)
    if body is None:
        return Response(status_code=413)
    authorization = request.headers.get("authorization", "")
    return Response(status_code=await run_in_threadpool(_mailbox_rang, given, authorization, body))


@router.post("/push/google/calendar")
@policy("public")
def calendar(request: Request, given: Given) -> Response:
    """A calendar's channel: it knows the secret that we gave it, or it is refused."""
    notice, now = channel_notice(request.headers), given.clock()
    if notice is None:
        return Response(status_code=401)
    with given.db.read() as session:
        channel = channel_for(session, notice.channel_id, notice.token, notice.resource_id)
    if channel is None:
        return Response(status_code=403)
    hear_channel(given.db, channel, now=now, wake=not notice.greeting)
    return Response(status_code=204)


def _mailbox_rang(given: Deps, authorization: str, body: bytes) -> int:
    """The status to answer with."""
    if given.push is None:
        return 403
    try:
        given.push.check(authorization)
    except Forged as error:
        log.info("push.refused", code=error.code)
        return 403 if error.signed else 401
    except ConnectorError as error:
        log.info("push.later", code=error.code)
        return 503
    notice = pushed_notice(body)
    if notice is not None:
        hear_mailboxes(given.db, "google", (notice.email,), now=given.clock())
    return 204


async def _body(request: Request) -> bytes | None:
    """The whole body; None for one that is too long to be a notice."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > LONGEST:
            return None
    return bytes(held)
