"""What is built from the settings: the providers, where doorbells ring and who answers them, and the worker's pace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.doorbell import Door, Inbox
from connectors.google.config import GoogleConfig
from connectors.google.provider import Google
from connectors.lanes import shared_lanes
from connectors.microsoft.config import MicrosoftConfig
from connectors.microsoft.provider import Microsoft
from connectors.provider import Provider
from connectors.window import shared_windows
from settings import Settings
from worker.context import Pace


def providers(chosen: Settings) -> dict[str, Provider[Any]]:
    """Each kind of account by its name. Where there is a broker, their budgets are one for all processes."""
    several = chosen.broker_url.startswith(("redis", "unix"))
    shared = shared_windows(chosen.broker_url) if several else None
    lanes = shared_lanes(chosen.broker_url) if several else None
    return {
        "google": Google(_google(chosen), windows=shared),
        "microsoft": Microsoft(_microsoft(chosen), windows=shared, lanes=lanes),
    }


def pace(chosen: Settings) -> Pace:
    """How often the worker looks, in seconds, and how long it holds on."""
    return Pace(
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


def places(chosen: Settings) -> dict[tuple[str, str], str]:
    """Where doorbells are to ring, by provider and kind of source; empty: nowhere."""
    outlook = chosen.microsoft_push_address()
    return {
        ("google", "mail"): chosen.google_pubsub_topic,
        ("google", "calendar"): chosen.calendar_push_address(),
        ("microsoft", "mail"): outlook,
        ("microsoft", "calendar"): outlook,
    }


def inbox(chosen: Settings) -> Inbox | None:
    """The subscription that the worker reads, if there is one. Google's libraries load only then."""
    if not chosen.google_pubsub_topic or not chosen.google_pubsub_subscription:
        return None
    from connectors.google.pubsub import PubSubInbox

    file = chosen.google_pubsub_credentials_file or Path()
    return PubSubInbox(_google(chosen), chosen.google_pubsub_subscription, file)


def doors(chosen: Settings) -> dict[str, Door]:
    """Who checks what is posted to us, by the path below /push/."""
    from connectors.google.rings import ChannelDoor
    from connectors.microsoft.rings import GraphDoor

    found: dict[str, Door] = {"google/calendar": ChannelDoor()}
    if chosen.google_pubsub_topic and chosen.google_push_service_account:
        found["google/gmail"] = _mailbox_door(chosen)
    if chosen.microsoft_push_address():
        found["microsoft"] = GraphDoor()
    return found


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
