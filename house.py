"""A house: the settings, the database, the keys and the providers, opened once for a command."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import structlog

import models.tables  # noqa: F401  (every table is known before the first query)
import settings as setting_page
import wiring
from connectors.errors import ConnectorError
from connectors.provider import Provider
from models.db import Database, StaleSchema, Unreachable
from models.errors import Invalid, ModelError
from models.keyring import Keyring, KeyringError, load_keys
from models.seed import seed
from settings import Settings
from worker.context import Push, Work

KNOWN_FAULTS = (ModelError, StaleSchema, Unreachable, KeyringError, ConnectorError)
"""What a command may meet that has a sentence for people."""
log = structlog.get_logger()


@dataclass(frozen=True)
class House:
    """Everything that a command needs, opened once."""

    settings: Settings
    db: Database
    keyring: Keyring
    providers: Mapping[str, Provider[Any]]

    @property
    def embedded(self) -> bool:
        """One process on SQLite: it may set its database up by itself."""
        return self.db.is_sqlite

    def migrate(self) -> None:
        """Schema and first rows."""
        self.db.migrate()
        self._seed()

    def check(self) -> None:
        """A schema that fits: the embedded house makes it so, any other one is refused. Raises StaleSchema, Unreachable."""
        if self.embedded:
            self.migrate()
        else:
            self.db.require_current()
            self._seed()

    def _seed(self) -> None:
        with self.db.write() as session:
            seed(session, self.keyring)

    def provider(self, name: str) -> Provider[Any]:
        """Raises Invalid when no account of that kind can be connected."""
        chosen = self.providers.get(name)
        if chosen is None:
            raise Invalid(f"{name!r} cannot be connected; known: {', '.join(self.providers)}.")
        return chosen

    def work(self) -> Work:
        """The worker's surroundings."""
        chosen = self.settings
        push = Push(wiring.places(chosen), wiring.inbox(chosen))
        return Work(self.db, self.keyring, self.providers, wiring.pace(chosen), push)


def open_house(*, check: bool = True, **overrides: Any) -> House:
    """Read the settings, open the database and the keys. Raises SettingsError, StaleSchema, Unreachable, KeyringError."""
    chosen = setting_page.load(**overrides)
    _log_to_stderr(chosen)
    for name in setting_page.unknown_names(**overrides):
        log.warning("settings.unknown", name=name)
    url = chosen.resolved_database_url()
    generate = url.startswith("sqlite")
    keys = load_keys(chosen.secret("secret_key"), chosen.secret_key_file, chosen.data_dir, generate=generate)
    house = House(chosen, Database(url), Keyring(keys), wiring.providers(chosen))
    house.db.keyring = house.keyring
    if check:
        house.check()
    return house


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
