"""Admin directory `users.list`: whom a whole-team connection finds (Directory API v1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.clock import stamp
from sandbox.mailbox import Mailbox
from sandbox.oauth import Grant, subject_of
from sandbox.wire import Refusal, Request, bad_request, google_error, lacks_scope

if TYPE_CHECKING:
    from sandbox.world import World

SCOPES = frozenset(f"https://www.googleapis.com/auth/admin.directory.user{end}" for end in ("", ".readonly"))


class Directory:
    """The users are the world's mailboxes; `world.admins` may list them, `world.suspended` cannot sign in."""

    def __init__(self, world: World) -> None:
        self.world = world

    def list_users(self, grant: Grant, request: Request) -> dict[str, Any]:
        """Users of `domain`, or with `customer` all of them, in the order of their addresses. Raises Refusal."""
        if not SCOPES & set(grant.scopes):
            raise lacks_scope()
        if grant.email not in self.world.admins:
            message = "Not Authorized to access this resource/api"
            raise Refusal(google_error(403, "", "forbidden", message))
        domain = request.one("domain").lower()
        if not domain and not request.one("customer"):
            raise bad_request("Bad Request", reason="badRequest")
        boxes = sorted(self.world.mailboxes.values(), key=lambda box: box.email)
        found = [box for box in boxes if not domain or box.email.endswith("@" + domain)]
        if domain and not found:
            raise Refusal(google_error(404, "", "notFound", "Domain not found."))
        if request.flag("showDeleted"):
            found = []
        found = [box for box in found if box.email > request.one("pageToken")]
        size = request.number("maxResults", 100, 500)
        size = min(size, self.world.knobs.page_size or size)
        shown: dict[str, Any] = {"kind": "admin#directory#users", "etag": '"users"'}
        if found:
            shown["users"] = [self._user(box) for box in found[:size]]
        if len(found) > size:
            shown["nextPageToken"] = found[size - 1].email
        return shown

    def _user(self, box: Mailbox) -> dict[str, Any]:
        given, _, family = box.name.partition(" ")
        shown: dict[str, Any] = {"kind": "admin#directory#user", "id": subject_of(box.email), "etag": '"user"'}
        shown |= {"primaryEmail": box.email, "isAdmin": box.email in self.world.admins, "isDelegatedAdmin": False}
        shown["name"] = {"fullName": box.name, "givenName": given, "familyName": family or given}
        shown |= {"suspended": box.email in self.world.suspended, "archived": False, "isMailboxSetup": True}
        shown |= {"creationTime": stamp(0), "customerId": "C0sandbox", "orgUnitPath": "/", "agreedToTerms": True}
        aliases = [alias.address for alias in box.aliases if not alias.primary]
        shown["emails"] = [{"address": box.email, "primary": True}, *({"address": one} for one in aliases)]
        return shown | ({"aliases": aliases} if aliases else {})
