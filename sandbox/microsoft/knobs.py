"""What a test may turn on the Microsoft side; the knobs of sandbox/world.py for push, latency and consent hold here too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class MicrosoftKnobs:
    """Times in seconds of the clock, except `hold` (real seconds a request keeps its place among those in flight).

    Throttling, per app and mailbox: concurrency_limit requests in flight, requests_per_window in window_seconds; a refusal
    says retry_after. None switches a limit off. page_size forces short pages everywhere.
    sent_delay and visibility_delay hide a message that was sent or came; notifications do not wait for them.
    delta_ttl: how long delta and skip tokens live (None: until a generation ends); token_padding makes links that much longer;
    sparse_updates: a changed message comes in a delta with its changed properties only; lose_returned: a message that left a
    folder and came back between two rounds is only reported as removed. filtered_most: messages of a delta with $filter.
    search_most: results of a $search. silent_cancellation: an occurrence taken out of a living series is not reported.
    ical_uids: per_series, per_occurrence or null. all_day_shifts: all-day events come as midnight of their own zone, in UTC.
    thin_headers: internetMessageHeaders without From and To. shuffle_batch: answers of a batch in another order.
    subscription_minutes: their longest life. single_tenant: the app knows no organizations or common.
    """

    concurrency_limit: int | None = 4
    requests_per_window: int | None = 10_000
    window_seconds: float = 600.0
    retry_after: float = 10.0
    hold: float = 0.0
    page_size: int | None = None
    sent_delay: float = 0.0
    visibility_delay: float = 0.0
    delta_ttl: float | None = None
    token_padding: int = 0
    sparse_updates: bool = True
    lose_returned: bool = False
    filtered_most: int = 5_000
    search_most: int = 1_000
    silent_cancellation: bool = False
    ical_uids: str = "per_series"
    all_day_shifts: bool = False
    thin_headers: bool = False
    shuffle_batch: bool = True
    subscription_minutes: float = 10_080.0
    single_tenant: bool = False
