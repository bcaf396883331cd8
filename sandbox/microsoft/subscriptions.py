"""Graph's change notifications: subscriptions with their handshake, notices of changes, lifecycle notices (contract 4.5)."""

from __future__ import annotations

import http.client
import random
import re
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from sandbox.courier import PATIENCE, Posted, is_loopback
from sandbox.microsoft.forms import JSON, dumped, guid, moment, read_time, refuse

if TYPE_CHECKING:
    from sandbox.microsoft.ask import Ask
    from sandbox.microsoft.diary import Diary, Event
    from sandbox.microsoft.outlook import Item, OutlookBox
    from sandbox.microsoft.tenancy import Microsoft

MOST = 1_000
LEAST_MINUTES = 45
TRIED_FOR = 4 * 3_600
_RESOURCE = re.compile(
    r"/?(?:me|users\(?/?'?(?P<user>[^/')]+)'?\)?)/(?:(?:mailFolders(?:\('(?P<f1>[^')]+)'\)|/(?P<f2>[^/]+))/)?"
    r"(?P<mail>messages)|(?:calendars?(?:\('[^')]+'\)|/[^/]+)?/)?(?P<event>events))/?\Z",
    re.I,
)


@dataclass(slots=True, eq=False)
class Subscription:
    """`folder` "" means all folders; `paused` after a reauthorizationRequired that nobody answered."""

    id: str
    app: str
    creator: str
    tenant: str
    email: str
    kind: str
    folder: str
    resource: str
    changes: frozenset[str]
    url: str
    lifecycle_url: str
    state: str
    expires: float
    immutable: bool
    paused: bool = False

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.app,
            "changeType": ",".join(sorted(self.changes)),
            "clientState": self.state or None,
            "notificationUrl": self.url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": self.lifecycle_url or None,
            "expirationDateTime": moment(self.expires),
            "creatorId": self.creator,
            "includeResourceData": None,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }


class Subscriptions:
    """All living subscriptions by their id. Duplicates, losses and https as the knobs of the world say."""

    def __init__(self, microsoft: Microsoft, seed: int) -> None:
        self.microsoft = microsoft
        self.open: dict[str, Subscription] = {}
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def create(self, ask: Ask) -> dict[str, Any]:
        """After the handshake with both addresses. Raises Refusal (400, 403, 409)."""
        made = self._made(ask, ask.json())
        for url in dict.fromkeys(filter(None, (made.url, made.lifecycle_url))):
            self._validate(url)
        with self._lock:
            self._forget()
            alike = [one for one in self.open.values() if _same(one, made)]
            if alike:
                raise refuse(409, "Conflict", "A subscription for this resource and change type exists already.")
            if sum(one.email == made.email for one in self.open.values()) >= MOST:
                raise refuse(403, "ExtensionError", "Subscription limit reached.")
            self.open[made.id] = made
        return made.shown()

    def list(self, ask: Ask) -> list[dict[str, Any]]:
        self._forget()
        return [one.shown() for one in self.open.values() if self._visible(one, ask)]

    def get(self, ask: Ask, subscription_id: str) -> Subscription:
        """Raises Refusal (404): never was, has expired, belongs to somebody else."""
        self._forget()
        found = self.open.get(subscription_id)
        if found is None or not self._visible(found, ask):
            raise refuse(404, "ResourceNotFound", "The object was not found.")
        return found

    def renew(self, ask: Ask, subscription_id: str) -> dict[str, Any]:
        """PATCH of the expiration; a lifecycle address cannot be added later."""
        found, given = self.get(ask, subscription_id), ask.json()
        if set(given) - {"expirationDateTime", "notificationUrl"}:
            raise refuse(400, "InvalidRequest", "Only expirationDateTime and notificationUrl can be changed.")
        if "notificationUrl" in given:
            self._check_url(given["notificationUrl"])
            self._validate(given["notificationUrl"])
            found.url = given["notificationUrl"]
        if "expirationDateTime" in given:
            found.expires = self._expiry(given["expirationDateTime"])
        found.paused = False
        return found.shown()

    def reauthorize(self, ask: Ask, subscription_id: str) -> None:
        self.get(ask, subscription_id).paused = False

    def delete(self, ask: Ask, subscription_id: str) -> None:
        self.get(ask, subscription_id)
        self.open.pop(subscription_id, None)

    def mail_changed(self, box: OutlookBox, item: Item, kind: str, folder: str) -> None:
        """A message came, changed or left a folder; subscriptions to that folder or to all messages are told."""
        for one in self._interested(box.email, "message", kind):
            if one.folder in ("", folder):
                shown = item.key if one.immutable else item.id
                self._tell(one, kind, shown, "Messages", "#Microsoft.Graph.Message")

    def event_changed(self, diary: Diary, event: Event, kind: str) -> None:
        if event.calendar != diary.default:
            return
        for one in self._interested(diary.email, "event", kind):
            key = event.master or event.key
            series = diary.events.get(key, event)
            self._tell(one, kind, series.key if one.immutable else series.id, "Events", "#Microsoft.Graph.Event")

    def lifecycle(self, event: str, email: str = "") -> int:
        """Sends reauthorizationRequired, subscriptionRemoved or missed on every subscription (of a mailbox); how many."""
        told = 0
        for one in list(self.open.values()):
            if email in ("", one.email):
                if event == "subscriptionRemoved":
                    self.open.pop(one.id, None)
                one.paused = one.paused or event == "reauthorizationRequired"
                notice = self.notice(one) | {"lifecycleEvent": event, "organizationId": one.tenant}
                notice.pop("tenantId")
                self.post(one, [notice], one.lifecycle_url)
                told += bool(one.lifecycle_url)
        return told

    def notice(self, one: Subscription, **changed: Any) -> dict[str, Any]:
        """The part of a notification that tells which subscription it belongs to."""
        shown = {"subscriptionId": one.id, "subscriptionExpirationDateTime": moment(one.expires)}
        return shown | {"clientState": one.state or None, "tenantId": one.tenant} | changed

    def about(self, one: Subscription, kind: str, item: str, collection: str, odata: str) -> dict[str, Any]:
        """A whole notification about one item."""
        box = self.microsoft.users[one.email]
        resource = f"Users/{box.oid}/{collection}/{item}"
        data = {
            "@odata.type": odata,
            "@odata.id": resource,
            "@odata.etag": f'W/"{secrets.token_urlsafe(12)}"',
            "id": item,
        }
        return self.notice(one, changeType=kind, resource=resource, resourceData=data)

    def post(self, one: Subscription, notices: list[dict[str, Any]], url: str = "") -> None:
        """One POST with these notices; tried again for four hours while the answer is no 2xx."""
        url = url or one.url
        if not url or not is_loopback(url):
            return
        begin, body = self.microsoft.clock.now(), dumped({"value": notices})

        def again(posted: Posted) -> float | None:
            late = self.microsoft.clock.now() - begin > TRIED_FOR
            return None if 200 <= posted.status < 300 or late else min(600.0, 10.0 * 2 ** (posted.attempt - 1))

        headers = {"Content-Type": f"{JSON}; charset=utf-8", "User-Agent": "pretend Microsoft Graph"}
        self.microsoft.world.courier.send(url, lambda attempt: (headers, body), again, kind="graph")

    def _interested(self, email: str, kind: str, change: str) -> list[Subscription]:
        now, knobs = self.microsoft.clock.now(), self.microsoft.world.knobs
        found = [one for one in list(self.open.values()) if (one.email, one.kind) == (email, kind)]
        found = [one for one in found if change in one.changes and one.expires > now and not one.paused]
        return [one for one in found if self._chance.random() >= knobs.push_drops]

    def _tell(self, one: Subscription, kind: str, item: str, collection: str, odata: str) -> None:
        notice = self.about(one, kind, item, collection, odata)
        for _ in range(2 if self._chance.random() < self.microsoft.world.knobs.push_duplicates else 1):
            self.post(one, [notice])

    def _made(self, ask: Ask, given: dict[str, Any]) -> Subscription:
        resource = str(given.get("resource") or "")
        found = _RESOURCE.match(unquote(resource.partition("?")[0]))
        if not found:
            raise refuse(400, "InvalidRequest", f"Resource '{resource}' is not supported.")
        user = found["user"]
        box = self.microsoft.find(user) if user else self.microsoft.users.get(ask.grant.email)
        if box is None or not box.enabled:
            raise refuse(404, "ResourceNotFound", "The mailbox of the subscription was not found.")
        if ask.grant.email and box.email != ask.grant.email:
            raise refuse(403, "ExtensionError", "Operation: Create; Exception: Access is denied.")
        ask.box = box
        kind = "message" if found["mail"] else "event"
        ask.may(*(("Mail.Read", "Mail.ReadWrite") if kind == "message" else ("Calendars.Read", "Calendars.ReadWrite")))
        changes = frozenset(one.strip() for one in str(given.get("changeType") or "").split(",") if one.strip())
        if not changes or not changes <= {"created", "updated", "deleted"}:
            raise refuse(400, "InvalidRequest", "changeType must be created, updated, deleted or several of them.")
        state = str(given.get("clientState") or "")
        if len(state) > 128:
            raise refuse(400, "InvalidRequest", "clientState is longer than 128 characters.")
        self._check_url(given.get("notificationUrl"))
        if given.get("lifecycleNotificationUrl"):
            self._check_url(given["lifecycleNotificationUrl"])
        name = found["f1"] or found["f2"] or ""
        folder = box.known.get(name.lower()) or box.folders.get(name)
        if name and folder is None:
            raise refuse(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return Subscription(
            guid("subscription", secrets.token_hex(8)),
            guid("app", ask.grant.client_id),
            box.oid,
            box.tenant,
            box.email,
            kind,
            folder.id if folder else "",
            resource,
            changes,
            str(given["notificationUrl"]),
            str(given.get("lifecycleNotificationUrl") or ""),
            state,
            self._expiry(given.get("expirationDateTime")),
            ask.immutable,
        )

    def _expiry(self, text: Any) -> float:
        now, most = self.microsoft.clock.now(), self.microsoft.knobs.subscription_minutes
        try:
            wanted = read_time(str(text))
        except ValueError:
            raise refuse(400, "InvalidRequest", "expirationDateTime is not valid.") from None
        if wanted <= now or wanted > now + most * 60:
            raise refuse(
                400, "InvalidRequest", f"Subscription expiration can only be {most:.0f} minutes in the future."
            )
        return max(wanted, now + LEAST_MINUTES * 60)

    def _check_url(self, url: Any) -> None:
        secure = isinstance(url, str) and url.startswith("https://")
        if not secure and (self.microsoft.world.knobs.https_push_only or not is_loopback(str(url))):
            raise refuse(400, "InvalidRequest", "Subscription notification URL must be an HTTPS address.")
        if not is_loopback(url):
            raise refuse(400, "ValidationError", VALIDATION_FAILED)

    def _validate(self, url: str) -> None:
        """The handshake: 200, text/plain and the decoded token, within ten seconds. Raises Refusal (400)."""
        token = (
            f"Validation: Testing client application reachability for subscription Request-Id: {secrets.token_hex(8)}"
        )
        status, kind, body = ask_back(url, token)
        if status != 200 or not kind.startswith("text/plain") or body != token.encode():
            raise refuse(400, "ValidationError", VALIDATION_FAILED)

    def _visible(self, one: Subscription, ask: Ask) -> bool:
        own = one.app == guid("app", ask.grant.client_id) and one.tenant == ask.grant.tenant
        return own and (not ask.grant.email or one.email == ask.grant.email)

    def _forget(self) -> None:
        now = self.microsoft.clock.now()
        for one in [one for one in self.open.values() if one.expires <= now]:
            self.open.pop(one.id, None)


VALIDATION_FAILED = (
    "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request."
)


def ask_back(url: str, token: str) -> tuple[int, str, bytes]:
    """Posts a validationToken to an address on this machine: status (0: nobody answers), content type, body."""
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    path = f"{parts.path or '/'}?{query}validationToken={quote(token, safe='')}"
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=PATIENCE)
    try:
        connection.request("POST", path, b"", {"Content-Type": "text/plain; charset=utf-8", "Content-Length": "0"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read()
    except (OSError, http.client.HTTPException):
        return 0, "", b""
    finally:
        connection.close()


def _same(one: Subscription, two: Subscription) -> bool:
    mark = ("app", "email", "kind", "folder", "changes")
    return all(getattr(one, name) == getattr(two, name) for name in mark)
