"""Where providers ring. Open to everybody by nature, so each message is checked before anything is looked up, and answered
the same whether we know the mailbox or not. Only rows are written: a source becomes due, and nothing else that a message
says is believed. No provider is called here.
"""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from connectors.doorbell import Notice
from connectors.errors import ConnectorError, Forged
from connectors.google.rings import channel_notice, pushed_notice
from models.doorbell import channel_for, channels_of, hear, sources_of_mailbox
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
    refusal = await run_in_threadpool(_refusal, given, request.headers.get("authorization", ""))
    if refusal:
        return Response(status_code=refusal)
    body = await _body(request)
    if body is None:
        return Response(status_code=413)
    notice = pushed_notice(body)
    if notice is not None:
        await run_in_threadpool(_ring_mailbox, given, notice)
    return Response(status_code=204)


@router.post("/push/google/calendar")
@policy("public")
def calendar(request: Request, given: Given) -> Response:
    """A calendar's channel: it knows the secret that we gave it, or it is refused."""
    notice, now = channel_notice(request.headers), given.clock()
    if notice is None:
        return Response(status_code=401)
    with given.db.read() as session:
        channel = channel_for(session, notice.channel_id, notice.token, notice.resource_id)
    if channel is None or channel.id is None or channel.source_id is None:
        return Response(status_code=403)
    hear(
        given.db,
        kind="calendar",
        source_ids=[channel.source_id],
        channel_ids=[channel.id],
        now=now,
        wake=not notice.greeting,
    )
    return Response(status_code=204)


def _refusal(given: Deps, authorization: str) -> int:
    """The status to refuse with; 0 when the message is Google's and for us."""
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
    return 0


def _ring_mailbox(given: Deps, notice: Notice) -> None:
    with given.db.read() as session:
        sources = sources_of_mailbox(session, "google", notice.email)
        channels = channels_of(session, sources, "gmail")
    hear(given.db, kind="gmail", source_ids=sources, channel_ids=channels, now=given.clock())


async def _body(request: Request) -> bytes | None:
    """The whole body; None for one that is too long to be a notice."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > LONGEST:
            return None
    return bytes(held)
