"""``Idempotency-Key`` on every write: a request that is sent twice is done once, and answered twice.

Whoever has a key does the write; its answer is kept for a day, sealed. A refused write changes nothing and is not kept:
sent again it is judged again (draft-ietf-httpapi-idempotency-key-header).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from models.errors import Invalid
from models.idempotency import IdempotentAnswer, claim_key, forget_claim, keep_answer
from webapp.deps import Deps, deps_of, viewer_of
from webapp.security import SAFE, guard

HEADER = "idempotency-key"
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
PROBLEM_SHAPE: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "field": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
PROBLEM: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused: problem details (RFC 9457)",
        "content": {"application/problem+json": {"schema": PROBLEM_SHAPE}},
    }
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Anything unique to this request: sent twice, it is done once.",
    "schema": {"type": "string", "maxLength": 255},
}


class OnceRoute(APIRoute):
    """A route whose writes are done once for each Idempotency-Key."""

    def __init__(self, *args: Any, **options: Any) -> None:
        if not set(options.get("methods") or ("GET",)) <= set(SAFE):
            extra = dict(options.get("openapi_extra") or {})
            options["openapi_extra"] = extra | {"parameters": [*extra.get("parameters", []), KEY]}
        super().__init__(*args, **options)

    def get_route_handler(self) -> Handler:
        write = super().get_route_handler()

        async def handler(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or request.method in SAFE:
                return await write(request)
            return await _once(request, write, key)

        return handler


def api_router(noun: str) -> APIRouter:
    """The router of a noun, with its whole prefix."""
    return APIRouter(
        prefix=f"/api/v1/{noun}",
        tags=[noun],
        route_class=OnceRoute,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="An API key: dt_..."))],
        responses=PROBLEM,
    )


async def _once(request: Request, write: Handler, key: str) -> Response:
    """Raises Invalid, Conflict, and whatever the guard or the write raises."""
    if not 0 < len(key) <= 255 or not key.isprintable():
        raise Invalid("An Idempotency-Key has 1 to 255 printable characters.", "Idempotency-Key")
    await run_in_threadpool(guard, request)
    deps, user_id = deps_of(request), viewer_of(request).id
    claimed = await run_in_threadpool(_claim, deps, user_id, key, _fingerprint(request, await request.body()))
    if isinstance(claimed, Response):
        return claimed
    try:
        answer = await write(request)
    except BaseException:
        await run_in_threadpool(_forget, deps, user_id, key, claimed)
        raise
    await run_in_threadpool(_keep, deps, user_id, key, claimed, answer)
    return answer


def _fingerprint(request: Request, body: bytes) -> str:
    line = f"{request.method} {request.url.path}?{request.url.query}\n"
    return hashlib.sha256(line.encode() + body).hexdigest()


def _claim(deps: Deps, user_id: int, key: str, fingerprint: str) -> Any:
    with deps.db.write() as session:
        kept = claim_key(session, user_id, key, fingerprint, now=deps.clock())
    return _again(deps, kept) if isinstance(kept, IdempotentAnswer) else kept


def _again(deps: Deps, kept: IdempotentAnswer) -> Response:
    body = deps.keyring.open(kept.body.encode())
    headers = {"idempotency-replayed": "true"}
    return Response(body or None, kept.status, headers, media_type="application/json" if body else None)


def _keep(deps: Deps, user_id: int, key: str, claimed: Any, answer: Response) -> None:
    sealed = deps.keyring.seal(bytes(answer.body)).decode()
    with deps.db.write() as session:
        keep_answer(session, user_id, key, claimed, status=answer.status_code, body=sealed)


def _forget(deps: Deps, user_id: int, key: str, claimed: Any) -> None:
    with deps.db.write() as session:
        forget_claim(session, user_id, key, claimed)
