"""The rooms put together: settings in, a running house out. Used by the commands in ``main``."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import structlog
from sqlmodel import Session, col, select

import settings as setting_page
from connectors.doorbell import Door, Inbox
from connectors.errors import ConnectorError
from connectors.google import GoogleConfig
from connectors.guard import check_url
from connectors.lanes import shared_lanes
from connectors.microsoft.config import MicrosoftConfig
from connectors.providers import AnyProvider, Google, Granted, Microsoft
from connectors.window import shared_windows
from models.account import Account, Source, request_sync
from models.channel import Channel
from models.db import Database, StaleSchema, Unreachable
from models.errors import Invalid, ModelError, NotFound
from models.health import account_health
from models.keyring import Keyring, KeyringError, load_keys
from models.ledger import LedgerEntry
from models.seed import seed
from models.service_key import ServiceKey
from models.setting import TeamSetting
from models.user import User, find_user
from models.user import add_user as invite
from models.user import create_key as make_key
from models.webhook import Webhook
from settings import Settings, SettingsError
from webapp.grants import keep_grant
from worker.context import Pace, Push, Work
from worker.pacing import relied_on

KNOWN_FAULTS = (ModelError, StaleSchema, Unreachable, KeyringError, ConnectorError)
log = structlog.get_logger()


@dataclass(frozen=True)
class House:
    """Everything that a command needs, opened once."""

    settings: Settings
    db: Database
    keyring: Keyring
    providers: Mapping[str, AnyProvider]

    @property
    def embedded(self) -> bool:
        """One process on SQLite: it may set its database up by itself."""
        return self.db.is_sqlite

    def migrate(self) -> None:
        """Schema and first rows."""
        self.db.migrate()
        with self.db.write() as session:
            seed(session, self.keyring)

    def work(self) -> Work:
        """The worker's surroundings."""
        chosen = self.settings
        pace = Pace(
            poll=chosen.poll_seconds,
            calendar_poll=chosen.calendar_poll_seconds,
            poll_with_push=max(chosen.poll_seconds, chosen.poll_seconds_with_push),
            calendar_poll_with_push=max(chosen.calendar_poll_seconds, chosen.calendar_poll_seconds_with_push),
            lease=chosen.lease_seconds,
            tick=chosen.tick_seconds,
            backfill_months=chosen.backfill_months,
            audit_every=chosen.audit_hours * 3_600,
            webhook_timeout=chosen.webhook_timeout,
            webhook_allow_private=chosen.webhook_allow_private,
        )
        return Work(self.db, self.keyring, self.providers, pace, Push(_places(chosen), _inbox(chosen)))


def open_house(*, check: bool = True, **overrides: Any) -> House:
    """Read the settings, open the database and the keys. Raises SettingsError, StaleSchema, Unreachable, KeyringError."""
    chosen = setting_page.load(**overrides)
    _log_to_stderr(chosen)
    for name in setting_page.unknown_names(**overrides):
        log.warning("settings.unknown", name=name)
    url = chosen.resolved_database_url()
    embedded = url.startswith("sqlite")
    keys = load_keys(chosen.secret("secret_key"), chosen.secret_key_file, chosen.data_dir, generate=embedded)
    house = House(chosen, Database(url), Keyring(keys), _providers(chosen))
    house.db.keyring = house.keyring
    if check and embedded:
        house.migrate()
    elif check:
        house.db.require_current()
        with house.db.write() as session:
            seed(session, house.keyring)
    return house


def _providers(chosen: Settings) -> dict[str, AnyProvider]:
    several = chosen.broker_url.startswith(("redis", "unix"))
    shared = shared_windows(chosen.broker_url) if several else None
    lanes = shared_lanes(chosen.broker_url) if several else None
    return {
        "google": Google(_google(chosen), windows=shared),
        "microsoft": Microsoft(_microsoft(chosen), windows=shared, lanes=lanes),
    }


def _places(chosen: Settings) -> dict[tuple[str, str], str]:
    """Where doorbells are to ring, by provider and kind of source."""
    outlook = chosen.microsoft_push_address()
    return {
        ("google", "mail"): chosen.google_pubsub_topic,
        ("google", "calendar"): chosen.calendar_push_address(),
        ("microsoft", "mail"): outlook,
        ("microsoft", "calendar"): outlook,
    }


def _inbox(chosen: Settings) -> Inbox | None:
    """The subscription that the worker reads, if there is one. Google's libraries load only then."""
    if not chosen.google_pubsub_topic or not chosen.google_pubsub_subscription:
        return None
    from connectors.google.pubsub import PubSubInbox

    file = chosen.google_pubsub_credentials_file or Path()
    return PubSubInbox(_google(chosen), chosen.google_pubsub_subscription, file)


def _doors(chosen: Settings) -> dict[str, Door]:
    """Who checks what is posted to us, by the path below /push/."""
    from connectors.google.rings import ChannelDoor
    from connectors.microsoft.rings import GraphDoor

    doors: dict[str, Door] = {"google/calendar": ChannelDoor()}
    if chosen.google_pubsub_topic and chosen.google_push_service_account:
        doors["google/gmail"] = _mailbox_door(chosen)
    if chosen.microsoft_push_address():
        doors["microsoft"] = GraphDoor()
    return doors


def _mailbox_door(chosen: Settings) -> Door:
    from connectors.google.rings import Certificates, MailboxDoor, PushVerifier

    certificates = Certificates(_google(chosen).certs_uri, timeout=chosen.google_timeout)
    audience = chosen.google_push_audience or chosen.gmail_push_address()
    verifier = PushVerifier(certificates, audience=audience, service_account=chosen.google_push_service_account)
    verifier.warm()
    return MailboxDoor(verifier)


def _google(chosen: Settings) -> GoogleConfig:
    return GoogleConfig(
        client_id=chosen.google_client_id,
        client_secret=chosen.secret("google_client_secret"),
        api_root=chosen.google_api_root,
        oauth_root=chosen.google_oauth_root,
        pubsub_api_root=chosen.google_pubsub_root,
        units_per_minute=chosen.gmail_units_per_minute,
        project_units_per_minute=chosen.gmail_project_units_per_minute,
        cost_profile=chosen.gmail_cost_profile,
        batch_size=chosen.gmail_batch_size,
        timeout=chosen.google_timeout,
        budget_share=chosen.budget_share,
        budget_reserve=chosen.budget_reserve,
    )


def _microsoft(chosen: Settings) -> MicrosoftConfig:
    return MicrosoftConfig(
        client_id=chosen.microsoft_client_id,
        client_secret=chosen.secret("microsoft_client_secret"),
        tenant=chosen.microsoft_tenant,
        graph_root=chosen.microsoft_graph_root,
        login_root=chosen.microsoft_login_root,
        requests_per_minute=chosen.outlook_requests_per_minute,
        lanes=chosen.outlook_requests_at_once,
        timeout=chosen.microsoft_timeout,
        budget_share=chosen.budget_share,
    )


# ---- serving


def serve(
    *,
    web: bool,
    work: bool,
    house: House | None = None,
    ready: threading.Event | None = None,
    listener: socket.socket | None = None,
) -> None:
    """Run the pages, the worker or both until SIGINT or SIGTERM; what is under way is finished first. Raises SettingsError
    for a taken port, before anything has started."""
    house = house or open_house()
    if web and listener is None:
        listener = listen(house.settings)
    if work and not web and house.settings.broker_url == "memory://" and not house.embedded:
        log.info("work.memory_broker", note="jobs stay in this process; set BROKER_URL to share them")
    stop = _stop_at_a_signal()
    calm_collector()
    with working(house) if work else nullcontext():
        if listener is None:
            stop.wait()
        elif not stop.is_set():
            _serve_web(house, listener, ready)


def calm_collector() -> None:
    """For a process that lives long: what has been loaded by now stays, so the garbage collector need not look through it
    again and again, nor after every few hundred objects (it took an eighth of the worker's time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _stop_at_a_signal() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; a second one ends the process at once. uvicorn takes the signals while it runs
    and passes them on to these handlers afterwards."""
    stop = threading.Event()

    def ask(number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, ask)
    return stop


@contextmanager
def working(house: House) -> Iterator[None]:
    """A worker and a scheduler in this process, on whatever broker is configured."""
    from worker.broker import EmbeddedWorker, build_broker

    broker = build_broker(house.settings.broker_url)
    from worker import actors
    from worker.reader import Reader
    from worker.scheduler import Scheduler

    surroundings = house.work()
    actors.bind(surroundings)
    actors.declare(broker)
    embedded = EmbeddedWorker(broker, threads=house.settings.workers)
    scheduler = Scheduler(surroundings, actors.enqueue)
    reader = Reader(surroundings, surroundings.push.inbox) if surroundings.push.inbox else None
    embedded.start()
    scheduler.start()
    if reader is not None:
        reader.start()
    try:
        yield
    finally:
        if reader is not None:
            reader.stop()
        scheduler.stop()
        embedded.stop()
        surroundings.close_all()


def _serve_web(house: House, listener: socket.socket, ready: threading.Event | None) -> None:
    import uvicorn

    chosen = house.settings
    config = uvicorn.Config(
        build_app(house), log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    log.info("web.listening", url=f"http://{chosen.host}:{listener.getsockname()[1]}")
    if ready is not None:
        threading.Thread(target=_tell_when_started, args=(server, ready), daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))


def build_app(house: House, *, setup_token: str | None = None) -> Any:
    """The web application on this house."""
    from webapp.app import create_app
    from webapp.deps import Deps

    chosen = house.settings
    token = setup_token if setup_token is not None else _setup_token(house)
    deps = Deps(
        db=house.db,
        keyring=house.keyring,
        base_url=chosen.base_url,
        session_days=chosen.session_days,
        consents=house.providers,
        check_url=lambda url: check_url(url, allow_private=chosen.webhook_allow_private),
        clock=now,
        version=release(),
        setup_token=token,
        doors=_doors(chosen),
    )
    return create_app(deps)


def _setup_token(house: House) -> str:
    """Where strangers could reach the first-start page, it asks for a token that only the log shows."""
    from urllib.parse import urlsplit

    if urlsplit(house.settings.base_url).hostname in setting_page.LOOPBACK:
        return ""
    with house.db.read() as session:
        if session.exec(select(User.id)).first() is not None:
            return ""
    token = secrets.token_urlsafe(16)
    log.warning("web.first_start", open=f"{house.settings.base_url}/setup?token={token}")
    return token


def listen(chosen: Settings) -> socket.socket:
    """The port of the settings, taken for this process. Raises SettingsError when it cannot be had."""
    return _listen(chosen.host, chosen.port)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {port} on {host} cannot be used ({error.strerror}). Stop the other program, or set DEALTRAIL_PORT."
        ) from error
    return listener


def _tell_when_started(server: Any, ready: threading.Event) -> None:
    while not server.started:
        time.sleep(0.02)
    ready.set()


# ---- what the commands do


def add_user(email: str, *, admin: bool, name: str) -> dict[str, Any]:
    """Invite somebody. Raises Invalid, Conflict."""
    house = open_house()
    with house.db.write() as session:
        user, token = invite(session, email, role="admin" if admin else "rep", now=now(), name=name)
    return {"email": user.email, "role": user.role, "invitation": f"{house.settings.base_url}/invite/{token}"}


def create_key(email: str, name: str) -> str:
    """A new API key of a user's. Raises NotFound."""
    house = open_house()
    with house.db.write() as session:
        user = find_user(session, email)
        if user is None:
            raise NotFound(f"There is no user {email}. Add them first: dealtrail user add {email}")
        return make_key(session, user, now=now(), name=name)


def connect(
    provider: str,
    email: str,
    token_file: Path,
    user_email: str,
    *,
    shared: Sequence[str] = (),
    house: House | None = None,
) -> dict[str, Any]:
    """Connect a mailbox with a refresh token from a file; ``shared``: others' mailboxes which its person may read. Raises
    Invalid, NotFound, ConnectorError."""
    house = house or open_house()
    chosen = house.providers.get(provider)
    if chosen is None:
        raise Invalid(f"{provider!r} cannot be connected; known: {', '.join(house.providers)}.")
    if not chosen.ready:
        raise SettingsError(chosen.why_not)
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Invalid(f"Cannot read {token_file}: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise Invalid(f"{token_file} holds no text; it should hold a refresh token.") from None
    if not token:
        raise Invalid(f"{token_file} is empty; it should hold a refresh token.")
    granted = chosen.adopt(token)
    if granted.email.lower() != email.strip().lower() and email.strip().lower() not in granted.addresses:
        raise Invalid(f"That token belongs to {granted.email}, not to {email}. Nothing was connected.")
    if shared:
        granted = chosen.share(granted, shared)
    with house.db.write() as session:
        account = store_grant(session, house.keyring, granted, user_email or email)
        owner = session.get(User, account.user_id)
        return {
            "id": account.id,
            "email": account.email,
            "user": owner.email if owner else "",
            "capabilities": account.capabilities,
            "missing": account.missing,
        }


def store_grant(
    session: Session, keyring: Keyring, granted: Granted, user_email: str, *, name: str = "", key_id: int | None = None
) -> Account:
    """Seal a grant into its account; a mailbox whose person is no user yet gets one without a password. ``key_id``: of the
    service account that gave it."""
    user = find_user(session, user_email)
    if user is None:
        user, _ = invite(session, user_email, role="rep", now=now(), name=name)
    return keep_grant(session, keyring, granted, user_id=user.id or 0, now=now(), key_id=key_id)


def sync(email: str, *, wait: bool, progress: Any = None, house: House | None = None) -> dict[str, Any]:
    """Make accounts due; with ``wait`` work in this process until nothing is left to do. ``ok`` is False when an account
    could not be brought up to date. Raises NotFound."""
    house = house or open_house()
    asked = now()
    with house.db.write() as session:
        ids = [account.id or 0 for account in accounts(session, email)]
        for account_id in ids:
            request_sync(session, account_id, now=asked)
    if wait:
        with working(house):
            _wait_until_done(house, ids, asked, progress)
    with house.db.read() as session:
        lines = [_account_line(session, account) for account in accounts(session, email)]
    waiting = {"ok"} if wait else {"ok", "syncing", "owed", "throttled"}
    return {"ok": all(line["state"] in waiting for line in lines), "waited": wait, "accounts": lines}


def _wait_until_done(house: House, ids: list[int], asked: datetime, progress: Any) -> None:
    last = ""
    while True:
        with house.db.read() as session:
            open_sources, shown = _unfinished(session, ids, asked)
        if progress is not None and shown != last:
            progress.print(shown, markup=False)
            last = shown
        if not open_sources:
            return
        time.sleep(0.2)


def _unfinished(session: Session, ids: list[int], asked: datetime) -> tuple[int, str]:
    """Sources that still have something to do now, and how far they are in words. A refused account is done: it waits
    for a person, not for us."""
    refused = set(session.exec(select(Account.id).where(col(Account.id).in_(ids), Account.refused != "")).all())
    sources = session.exec(
        select(Source).where(col(Source.account_id).in_(ids), col(Source.selected), col(Source.gone_at).is_(None))
    ).all()
    live = [source for source in sources if source.account_id not in refused]
    waiting = [s for s in live if s.lease_owner or s.synced_at is None or s.synced_at < asked or _due(s)]
    failing = [s for s in waiting if s.error and s.failures >= 3 and not s.lease_owner]
    counts = dict(
        session.exec(
            select(LedgerEntry.outcome, _count())
            .where(col(LedgerEntry.source_id).in_([s.id for s in sources]))
            .group_by(LedgerEntry.outcome)
        ).all()
    )
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "starting"
    return len(waiting) - len(failing), shown


def _due(source: Source) -> bool:
    return source.next_sync_at is not None and source.next_sync_at <= now()


def _count() -> Any:
    from sqlmodel import func

    return func.count()


def accounts(session: Session, email: str) -> list[Account]:
    """The connected accounts, or the one of an address. Raises NotFound when there is none."""
    found = _accounts(session, email)
    if not found:
        what = f"no connected account {email}" if email else "no connected account"
        raise NotFound(f"There is {what}. Connect one: dealtrail connect google EMAIL --refresh-token-file F")
    return found


def _accounts(session: Session, email: str) -> list[Account]:
    statement = select(Account).where(col(Account.disconnected_at).is_(None)).order_by(col(Account.id))
    if email:
        statement = statement.where(Account.email == email.strip().lower())
    return list(session.exec(statement).all())


def _account_line(session: Session, account: Account) -> dict[str, Any]:
    health = account_health(session, account, now=now())
    return {
        "id": account.id,
        "email": account.email,
        "state": health.state,
        "sentence": health.sentence,
        "owed": health.owed,
        "unreadable": health.unreadable,
        "notices": [*account.missing, *health.notices],
    }


def reseal() -> int:
    """Seal everything under the first key. Raises KeyringError when a secret opens with none; then nothing is changed."""
    house = open_house()
    done = 0
    with house.db.write() as session:
        for account in session.exec(select(Account).where(Account.sealed_grant != b"")):
            account.sealed_grant = house.keyring.reseal(account.sealed_grant)
            session.add(account)
            done += 1
        for channel in session.exec(select(Channel).where(Channel.sealed_grant != b"")):
            channel.sealed_grant = house.keyring.reseal(channel.sealed_grant)
            session.add(channel)
            done += 1
        for key in session.exec(select(ServiceKey)):
            key.sealed_key = house.keyring.reseal(key.sealed_key)
            session.add(key)
            done += 1
        for hook in session.exec(select(Webhook)):
            hook.sealed_secret = house.keyring.reseal(hook.sealed_secret)
            session.add(hook)
            done += 1
        row = session.get(TeamSetting, "hash_key")
        if row is not None:
            row.value = house.keyring.reseal(row.value.encode()).decode()
            session.add(row)
            done += 1
    return done


def examine() -> dict[str, Any]:
    """What a person would check first when something is wrong. Raises nothing: each finding is a line."""
    lines: list[dict[str, Any]] = []

    def say(what: str, ok: bool, text: str) -> None:
        lines.append({"what": what, "ok": ok, "text": text})

    try:
        house = open_house(check=False)
        say("settings", True, "complete")
        house.db.require_current()
        say("database", True, house.db.engine.url.render_as_string(hide_password=True))
    except (SettingsError, *KNOWN_FAULTS) as error:
        say("start", False, str(error))
        return {"ok": False, "lines": lines}
    for provider in house.providers.values():
        say(provider.label, True, "configured" if provider.ready else f"not configured. {provider.why_not}")
    with house.db.read() as session:
        users = len(session.exec(select(User.id)).all())
        say("users", users > 0, f"{users}" if users else "none yet; open the first-start page or: dealtrail user add")
        for account in _accounts(session, ""):
            health = account_health(session, account, now=now())
            say(account.email, health.state in ("ok", "syncing"), health.sentence)
        if any(_places(house.settings).values()):
            for ok, text in _doorbells(session):
                say("push", ok, text)
    return {"ok": all(line["ok"] for line in lines), "lines": lines}


def _doorbells(session: Session) -> list[tuple[bool, str]]:
    """How many mailboxes and calendars tell of changes themselves, and each thing that is wrong with the others, once."""
    rows = session.exec(select(Channel)).all()
    live = {row.source_id for row in rows if row.source_id and relied_on(row, now())}
    wrong = sorted({row.error_sentence for row in rows if row.error})
    known = {row.source_id for row in rows if row.source_id and row.stop_at is None}
    text = f"{len(live)} of {len(known)} mailboxes and calendars tell of changes themselves"
    return [(True, text), *((False, sentence) for sentence in wrong)]


def now() -> datetime:
    """The real clock, aware UTC."""
    return datetime.now(UTC)


def release() -> str:
    """This version."""
    try:
        return version("dealtrail")
    except PackageNotFoundError:
        return "0"


def _log_to_stderr(chosen: Settings) -> None:
    """One logger for ours and the libraries' records, on standard error; secrets never reach it, texts neither."""
    import sys

    level = getattr(logging, chosen.log_level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if chosen.log_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper("iso", utc=True), renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s")
    for noisy in ("googleapiclient", "google_auth_httplib2", "httpx", "msal"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    for talkative in ("uvicorn", "dramatiq"):  # their tracebacks may quote mail; we tell the class and the place
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
