"""The application: routes, what stands before them, and one place where a refusal becomes an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from connectors.errors import ConnectorError
from models.errors import Conflict, Forbidden, Invalid, ModelError, NotFound
from models.keyring import KeyringError
from webapp import api, pages, push
from webapp.deps import Deps
from webapp.pages.door import path_to_door
from webapp.security import SafeHeaders, SignInNeeded, TooManyTries, check_token, guard, is_api, policy_of

STATUS: dict[type[ModelError], int] = {NotFound: 404, Conflict: 409, Invalid: 422, Forbidden: 403}
TITLES = {
    400: "Not understood",
    401: "Sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Out of date",
    422: "Something is wrong with the input",
    429: "Too many attempts",
    500: "A fault of ours",
    502: "The provider did not answer",
}
log = structlog.get_logger()


def create_app(deps: Deps) -> FastAPI:
    """The web application. Raises RuntimeError for a route without a policy."""
    app = FastAPI(
        title="Dealtrail",
        version=deps.version,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        dependencies=[Depends(guard), Depends(check_token)],
    )
    app.state.deps = deps
    app.add_middleware(SafeHeaders)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.include_router(push.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    _refusals(app)
    forgotten = [f"{path} {sorted(methods)}" for path, methods, who in policies(app) if who is None]
    if forgotten:
        raise RuntimeError(f"routes without a policy: {', '.join(forgotten)}")
    return app


def policies(app: FastAPI) -> Iterator[tuple[str, set[str], str | None]]:
    """(path, methods, policy) of every endpoint, for the check above and for the tests of who may see what."""
    for route in _flat(app.routes):
        yield route.path, set(route.methods or ()), policy_of(route.endpoint)


def _flat(routes: Any) -> Iterator[APIRoute]:
    """Every endpoint, also of routers within routers. Each router of ours carries its whole prefix itself."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if isinstance(route, APIRoute):
            yield route
        elif inner is not None:
            yield from _flat(inner.routes)


def _refusals(app: FastAPI) -> None:
    """Every exception that is meant for people, in one table."""

    def model(request: Request, error: Exception) -> Response:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
        return _refuse(request, status, str(error), field=getattr(error, "field", ""))

    def validation(request: Request, error: Exception) -> Response:
        faults = error.errors() if isinstance(error, RequestValidationError) else []
        told = [
            {"field": ".".join(str(step) for step in fault["loc"][1:]), "detail": str(fault["msg"])} for fault in faults
        ]
        sentence = "; ".join(f"{one['field']}: {one['detail']}" for one in told) or "The request cannot be read."
        return _refuse(request, 422, sentence, errors=told)

    def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        sentence = "There is nothing at this address." if status == 404 else str(getattr(error, "detail", ""))
        return _refuse(request, status, sentence)

    def door(request: Request, error: Exception) -> Response:
        if is_api(request):
            answer = _refuse(request, 401, "Send an API key: Authorization: Bearer dt_...")
            answer.headers["www-authenticate"] = "Bearer"
            return answer
        target = path_to_door(request)
        if request.headers.get("hx-request"):
            return Response(status_code=204, headers={"hx-redirect": target})
        return RedirectResponse(target, 303)

    def tries(request: Request, error: Exception) -> Response:
        answer = _refuse(request, 429, str(error))
        answer.headers["retry-after"] = str(int(getattr(error, "after", 60)) + 1)
        return answer

    def provider(request: Request, error: Exception) -> Response:
        return _refuse(request, 502, getattr(error, "sentence", str(error)))

    def ours(request: Request, error: Exception) -> Response:
        log.error("web.bug", path=request.scope.get("path", ""), error=type(error).__name__)
        return _refuse(request, 500, "Something went wrong on our side; nothing was changed. It has been written down.")

    app.add_exception_handler(ModelError, model)
    app.add_exception_handler(KeyringError, provider)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(SignInNeeded, door)
    app.add_exception_handler(TooManyTries, tries)
    app.add_exception_handler(ConnectorError, provider)
    app.add_exception_handler(Exception, ours)


def _refuse(request: Request, status: int, sentence: str, **more: Any) -> Response:
    """A refusal as problem details (RFC 9457) for programs, as a page or a toast for people."""
    title = TITLES.get(status, "Refused")
    if not is_api(request):
        return pages.refusal(request, status, title, sentence)
    problem = {"type": "about:blank", "title": title, "status": status, "detail": sentence}
    problem |= {"instance": request.url.path} | {name: value for name, value in more.items() if value}
    return JSONResponse(problem, status, media_type="application/problem+json")
