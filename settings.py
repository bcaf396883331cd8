"""Every setting on one page: name, default, unit. From the environment (prefix ``DEALTRAIL_``) or ``.env``.

Refused at start when wrong: :func:`load` raises :class:`SettingsError` with one sentence per fault. So is a name that is
all but a setting's; other names with the prefix are told by :func:`unknown_names`. Secrets may also be read from a file
(``DEALTRAIL_SECRET_KEY_FILE``, ``DEALTRAIL_GOOGLE_CLIENT_SECRET_FILE``, ...); they are masked when shown.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

PREFIX = "DEALTRAIL_"

GOOGLE_API_ROOT = "https://gmail.googleapis.com"
GOOGLE_CALENDAR_ROOT = "https://www.googleapis.com"
GOOGLE_OAUTH_ROOT = "https://oauth2.googleapis.com"
GOOGLE_PUBSUB_ROOT = "https://pubsub.googleapis.com"
MICROSOFT_GRAPH_ROOT = "https://graph.microsoft.com/v1.0"
MICROSOFT_LOGIN_ROOT = "https://login.microsoftonline.com"
ALL_BUT = 0.85
"""How like a setting's name (difflib's ratio) another must be to be taken for a slip of the pen."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(Exception):
    """A setting is wrong; the text says which, and what to do."""


class Settings(BaseSettings):
    """All of Dealtrail's settings. Durations are in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    # where things live
    data_dir: Path = Field(Path("data"), description="Folder of the embedded database, the generated key and exports.")
    database_url: str = Field("", description="SQLAlchemy URL. Empty: SQLite (WAL) under DATA_DIR.")
    broker_url: str = Field(
        "memory://", description="memory:// (in this process), redis://..., unix://... or amqp://..."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Seals tokens. Comma-separated: the first seals, the others still open (rotation). "
        "Empty: SECRET_KEY_FILE, else generated once under DATA_DIR.",
    )
    secret_key_file: Path | None = Field(None, description="File with the same, one key a line.")

    # the web
    base_url: str = Field(
        "", description="What people type; links and callbacks are built on it. Empty: http://127.0.0.1 and PORT."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8321, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    session_days: int = Field(14, ge=1, le=365, description="Days until a sign-in must be repeated.")

    # Google
    google_client_id: str = Field("", description="OAuth client of your own Google Cloud project.")
    google_client_secret: SecretStr = Field(SecretStr(""), description="Its secret (or GOOGLE_CLIENT_SECRET_FILE).")
    google_client_secret_file: Path | None = Field(None, description="File that holds the client secret.")
    google_api_root: str = Field("", description="Empty: Google's own hosts. Else a loopback URL.")
    google_oauth_root: str = Field("", description="Empty: Google's own hosts. Else a loopback URL.")
    gmail_units_per_minute: int = Field(6_000, ge=60, description="Gmail quota units a minute for each mailbox.")
    gmail_project_units_per_minute: int = Field(1_200_000, ge=60, description="Gmail quota units a minute, project.")
    gmail_cost_profile: Literal["2026", "legacy"] = Field(
        "2026", description="Unit cost table: 2026 (get 20, threads.get 40) or legacy (5, 10)."
    )
    gmail_batch_size: int = Field(20, ge=1, le=50, description="Parts in one Gmail batch at the most.")
    google_timeout: float = Field(20.0, gt=0, le=120, description="Seconds to wait for an answer from Google.")

    # push from Google (optional: without it everything is looked at on a timer)
    google_pubsub_topic: str = Field(
        "",
        pattern=r"^(projects/[^/\s]+/topics/[^/\s]+)?$",
        description="projects/PROJECT/topics/NAME, where Gmail tells of new mail. Empty: mailboxes are polled.",
    )
    google_pubsub_subscription: str = Field(
        "",
        pattern=r"^(projects/[^/\s]+/subscriptions/[^/\s]+)?$",
        description="projects/PROJECT/subscriptions/NAME of that topic, which the worker reads (no public address needed).",
    )
    google_pubsub_credentials_file: Path | None = Field(
        None, description="Key (JSON) of a service account that may read the subscription."
    )
    google_pubsub_root: str = Field("", description="Empty: Google's own host. Else a loopback URL.")
    google_push_service_account: str = Field(
        "", description="E-mail of the service account that signs pushes to BASE_URL/push/google/gmail."
    )
    google_push_audience: str = Field("", description="Audience of these pushes; empty: that address itself.")
    google_calendar_push: Literal["auto", "on", "off"] = Field(
        "auto", description="Let calendars tell of changes; auto: when BASE_URL is https."
    )

    # Microsoft
    microsoft_client_id: str = Field("", description="Application (client) id in Entra.")
    microsoft_client_secret: SecretStr = Field(
        SecretStr(""), description="Its secret (or MICROSOFT_CLIENT_SECRET_FILE)."
    )
    microsoft_client_secret_file: Path | None = Field(None, description="File that holds the client secret.")
    microsoft_tenant: str = Field("organizations", description="Tenant id, or organizations | common | consumers.")
    microsoft_graph_root: str = Field(MICROSOFT_GRAPH_ROOT, description="Ends in /v1.0. Else a loopback URL.")
    microsoft_login_root: str = Field(MICROSOFT_LOGIN_ROOT, description="Entra's root. Else a loopback URL.")
    microsoft_timeout: float = Field(20.0, gt=0, le=120, description="Seconds to wait for an answer from Microsoft.")
    outlook_requests_per_minute: int = Field(
        1_000, ge=60, description="Requests a minute that Graph allows an app for each mailbox (10,000 in 10 minutes)."
    )
    outlook_requests_at_once: int = Field(
        3, ge=1, le=4, description="Requests to one mailbox that may be under way at once (Graph refuses a fifth)."
    )
    microsoft_push: Literal["auto", "on", "off"] = Field(
        "auto", description="Let Outlook mail and calendars tell of changes; auto: when BASE_URL is https."
    )

    # sync
    budget_share: float = Field(0.75, gt=0, le=1, description="Share of a provider's quota that Dealtrail may use.")
    budget_reserve: int = Field(1_000, ge=0, description="Gmail units a minute kept for new mail while backfilling.")
    backfill_months: int = Field(12, ge=0, le=120, description="How far back a first sync opens headers.")
    poll_seconds: float = Field(60.0, gt=0, description="Between two looks at an idle mailbox (+-25 %).")
    calendar_poll_seconds: float = Field(300.0, gt=0, description="Between two looks at an idle calendar (+-25 %).")
    poll_seconds_with_push: float = Field(900.0, gt=0, description="The same while the mailbox tells of changes.")
    calendar_poll_seconds_with_push: float = Field(1_800.0, gt=0, description="The same for such a calendar.")
    audit_hours: float = Field(
        24.0, gt=0, description="Hours between two comparisons of a mailbox with the ledger (+-25 %)."
    )
    lease_seconds: float = Field(120.0, ge=5, description="How long a worker may hold a source without a sign of life.")
    workers: int = Field(4, ge=1, le=64, description="Threads that sync, log and deliver in one process.")
    tick_seconds: float = Field(1.0, gt=0, le=60, description="How often the scheduler looks for due rows.")

    # webhooks
    webhook_timeout: float = Field(15.0, gt=0, le=60, description="Seconds to wait for a receiver.")
    webhook_allow_private: bool = Field(False, description="Let webhooks reach private addresses (tests, intranet).")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much to log.")
    log_json: bool = Field(False, description="One JSON object a line instead of text.")

    @field_validator(
        "google_api_root", "google_oauth_root", "google_pubsub_root", "microsoft_graph_root", "microsoft_login_root"
    )
    @classmethod
    def _own_host_or_loopback(cls, value: str, info: Any) -> str:
        value = value.rstrip("/")
        own = {
            "google_api_root": {GOOGLE_API_ROOT, GOOGLE_CALENDAR_ROOT},
            "google_oauth_root": {GOOGLE_OAUTH_ROOT},
            "google_pubsub_root": {GOOGLE_PUBSUB_ROOT},
            "microsoft_graph_root": {MICROSOFT_GRAPH_ROOT},
            "microsoft_login_root": {MICROSOFT_LOGIN_ROOT},
        }[str(info.field_name)]
        if value in own or (not value and str(info.field_name).startswith("google")):
            return "" if str(info.field_name).startswith("google") else value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or parts.hostname not in LOOPBACK:
            raise ValueError("must be the provider's own address, or one on 127.0.0.1, localhost or [::1]")
        return value

    @model_validator(mode="before")
    @classmethod
    def _found_on_its_port(cls, given: Any) -> Any:
        if isinstance(given, dict) and not given.get("base_url"):
            return given | {"base_url": f"http://127.0.0.1:{given.get('port') or 8321}"}
        return given

    @field_validator("base_url")
    @classmethod
    def _whole_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a whole address such as https://dealtrail.acme.example")
        return value.rstrip("/")

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("memory", "redis", "rediss", "unix", "amqp", "amqps"):
            raise ValueError("must start with memory://, redis://, unix:// (Redis on a socket) or amqp://")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgres://", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:///, or with postgresql:// and name a database")
        return value

    @model_validator(mode="after")
    def _several_processes_need_a_shared_broker(self) -> Settings:
        if self.broker_url != "memory://" and self.resolved_database_url().startswith("sqlite"):
            raise ValueError(
                "BROKER_URL names a shared broker but DATABASE_URL is SQLite; set DATABASE_URL to Postgres"
            )
        return self

    @model_validator(mode="after")
    def _what_rings_must_be_heard(self) -> Settings:
        if self.google_pubsub_topic and not (self.google_pubsub_subscription or self.google_push_service_account):
            raise ValueError(
                "GOOGLE_PUBSUB_TOPIC is set but nobody listens; set GOOGLE_PUBSUB_SUBSCRIPTION (and its credentials file), "
                "or GOOGLE_PUSH_SERVICE_ACCOUNT for a subscription that pushes"
            )
        if self.google_pubsub_subscription and self.google_pubsub_credentials_file is None:
            raise ValueError("GOOGLE_PUBSUB_SUBSCRIPTION needs GOOGLE_PUBSUB_CREDENTIALS_FILE, a service account's key")
        if self.google_calendar_push == "on" and not self.calendar_push_address():
            raise ValueError("GOOGLE_CALENDAR_PUSH is on, but Google rings only at https; BASE_URL must be https")
        if self.microsoft_push == "on" and not self.microsoft_push_address():
            raise ValueError(
                "MICROSOFT_PUSH is on, but Microsoft rings only at https; set MICROSOFT_CLIENT_ID, and BASE_URL to https"
            )
        return self

    def gmail_push_address(self) -> str:
        """Where a Pub/Sub subscription that pushes posts to."""
        return f"{self.base_url}/push/google/gmail"

    def calendar_push_address(self) -> str:
        """Where calendars ring; empty when they are not to. A pretend Google rings on this machine too, if told so."""
        parts = urlsplit(self.base_url)
        here = bool(self.google_api_root) and parts.hostname in LOOPBACK and self.google_calendar_push == "on"
        able = self.google_calendar_push != "off" and (parts.scheme == "https" or here)
        return f"{self.base_url}/push/google/calendar" if able else ""

    def microsoft_push_address(self) -> str:
        """Where Outlook's mailboxes and calendars ring; empty when they are not to. A pretend one as above."""
        parts = urlsplit(self.base_url)
        pretend = self.microsoft_graph_root != MICROSOFT_GRAPH_ROOT
        here = pretend and parts.hostname in LOOPBACK and self.microsoft_push == "on"
        able = self.microsoft_push != "off" and (parts.scheme == "https" or here)
        return f"{self.base_url}/push/microsoft" if able and self.microsoft_client_id else ""

    def resolved_database_url(self) -> str:
        """The database to use: DATABASE_URL with its driver spelled out, else the embedded SQLite file."""
        url = self.database_url
        if not url:
            return f"sqlite:///{self.data_dir.resolve() / 'dealtrail.db'}"
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    def secret(self, name: str) -> str:
        """A secret by its setting's name, from the variable or from its ``_FILE`` twin. Raises SettingsError."""
        direct = getattr(self, name).get_secret_value()
        path: Path | None = getattr(self, f"{name}_file")
        if direct or path is None:
            return direct
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{PREFIX}{name.upper()}_FILE: cannot read {path}: {error.strerror}.") from error
        except UnicodeDecodeError:
            raise SettingsError(f"{PREFIX}{name.upper()}_FILE: {path} holds no text.") from None


def load(**overrides: Any) -> Settings:
    """The settings of this process. Raises SettingsError naming each wrong one and what it must be."""
    lines = [
        f"{name} is no setting; did you mean {PREFIX}{meant.upper()}?"
        for name in unknown_names(**overrides)
        for meant in difflib.get_close_matches(_bare(name), Settings.model_fields, n=1, cutoff=ALL_BUT)
    ]
    try:
        chosen = Settings(**overrides)
    except ValidationError as error:
        lines = [*(_sentence(fault) for fault in error.errors()), *lines]
    else:
        if not lines:
            return chosen
    raise SettingsError("\n".join(lines))


def unknown_names(*, _env_file: Any = ".env", **_: Any) -> list[str]:
    """The names in the environment and in ``.env`` that have the prefix and are no setting."""
    written = DotEnvSettingsSource(Settings, env_file=_env_file, case_sensitive=True).env_vars
    names = {name for name in (*os.environ, *written) if name.upper().startswith(PREFIX)}
    return sorted(name for name in names if _bare(name) not in Settings.model_fields)


def _bare(name: str) -> str:
    return name[len(PREFIX) :].lower()


def _sentence(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"]).upper()
    label = f"{PREFIX}{name}: " if name else ""
    return f"{label}{fault['msg'].removeprefix('Value error, ')}."
