"""The door: the first start, signing in and out, and invitations."""

from __future__ import annotations

import hmac
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session, select

from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.user import User, WebSession, add_user, check_password, hash_token, invited_user, set_password, sign_in
from webapp.deps import Deps, Given, deps_of
from webapp.pages.forms import Fields, Sent
from webapp.pages.show import go, page
from webapp.security import COOKIE, Tries, policy

router = APIRouter()


def path_to_door(request: Request) -> str:
    """Where somebody who is not signed in goes; back to the page they wanted afterwards."""
    if _nobody_yet(deps_of(request)):
        return "/setup"
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or wanted == "/" or request.headers.get("hx-request"):
        return "/sign-in"
    return "/sign-in?" + urlencode({"next": wanted})


def own_path(wanted: str) -> str:
    """``wanted`` when it is a path of ours, else the first page: no redirect ever leaves the house."""
    parts = urlsplit(wanted)
    plain = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if plain and not parts.scheme and not parts.netloc else "/"


@router.get("/setup")
@policy("public")
def first_start(request: Request, given: Given, token: str = "") -> Response:
    """Nobody is here yet: make the administrator."""
    if not _nobody_yet(given):
        return go("/sign-in")
    return page(request, "setup.html", typed={"token": token}, fault="", field="", ask=bool(given.setup_token))


@router.post("/setup")
@policy("public")
def make_administrator(request: Request, given: Given, form: Sent) -> Response:
    """The first user. Refused once there is one, or without the token that only the log shows."""
    try:
        if given.setup_token and not hmac.compare_digest(form.text("token").encode(), given.setup_token.encode()):
            raise Invalid("The set-up token is not right. It stands in the log of the server.", "token")
        with given.db.write() as session:
            if session.exec(select(User.id)).first() is not None:
                raise Conflict("Dealtrail is set up already. Sign in instead.")
            user, _ = add_user(
                session, form.text("email"), role="admin", now=given.clock(), name=form.text("name", 200)
            )
            set_password(session, user, _password(form))
    except Invalid as error:
        return page(
            request,
            "setup.html",
            status=422,
            typed=form.as_typed(),
            fault=str(error),
            field=error.field,
            ask=bool(given.setup_token),
        )
    return _welcome(given, user, "/accounts", "Welcome. Connect a mailbox to begin.")


@router.get("/sign-in")
@policy("public")
def door(request: Request, given: Given, next: str = "") -> Response:
    """Who are you?"""
    if request.state.viewer is not None:
        return go(own_path(next))
    if _nobody_yet(given):
        return go("/setup")
    return page(request, "sign_in.html", typed={"next": own_path(next)}, fault="")


@router.post("/sign-in")
@policy("public")
def let_in(request: Request, given: Given, form: Sent) -> Response:
    """Check the password; after too many failures everybody waits. Raises TooManyTries."""
    email = form.text("email").lower()
    keys = (f"address:{email}", f"machine:{request.client.host if request.client else ''}")
    tries = _tries(request)
    tries.check(*keys)
    with given.db.read() as session:
        user = check_password(session, email, _password(form))
    if user is None:
        tries.failed(*keys)
        fault = "That address and password do not fit together."
        return page(request, "sign_in.html", status=422, typed=form.as_typed(), fault=fault)
    tries.passed(*keys)
    return _welcome(given, user, own_path(form.text("next", 2_000)))


@router.post("/sign-out")
@policy("rep")
def leave(request: Request, given: Given) -> Response:
    """End this browser's session."""
    with given.db.write() as session:
        row = session.get(WebSession, hash_token(request.cookies.get(COOKIE, "")))
        if row is not None:
            session.delete(row)
    answer = go("/sign-in", "You are signed out.")
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/invite/{token}")
@policy("public")
def invitation(request: Request, given: Given, token: str) -> Response:
    """Somebody who was invited chooses a password."""
    with given.db.read() as session:
        user = _invited(session, token)
    return page(request, "invite.html", token=token, user=user, typed={"name": user.name}, fault="", field="")


@router.post("/invite/{token}")
@policy("public")
def join(request: Request, given: Given, token: str, form: Sent) -> Response:
    """Set the password; the invitation is used up."""
    with given.db.read() as session:
        user = _invited(session, token)
    try:
        with given.db.write() as session:
            user = _invited(session, token)
            user.name = form.text("name", 200) or user.name
            set_password(session, user, _password(form))
    except Invalid as error:
        return page(
            request,
            "invite.html",
            status=422,
            token=token,
            user=user,
            typed=form.as_typed(),
            fault=str(error),
            field=error.field,
        )
    return _welcome(given, user, "/accounts", "Welcome. Connect your mailbox to begin.")


def _invited(session: Session, token: str) -> User:
    user = invited_user(session, token)
    if user is None:
        raise NotFound("This invitation was used already or withdrawn. Ask an administrator for a new link.")
    return user


def _welcome(given: Deps, user: User, to: str, said: str = "") -> Response:
    with given.db.write() as session:
        token, _ = sign_in(session, user, now=given.clock(), days=given.session_days)
    answer = go(to, said)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=given.session_days * 86_400,
        httponly=True,
        samesite="lax",
        secure=given.base_url.startswith("https://"),
    )
    return answer


def _nobody_yet(given: Deps) -> bool:
    with given.db.read() as session:
        return session.exec(select(User.id)).first() is None


def _password(form: Fields) -> str:
    """As typed: a blank at its end may be meant. Raises Invalid, Forbidden."""
    value = form.raw("password")
    if len(value) > 1_000:
        raise Forbidden("That is too long for a password.")
    return value


def _tries(request: Request) -> Tries:
    state = request.app.state
    if not hasattr(state, "tries"):
        state.tries = Tries()
    return state.tries
