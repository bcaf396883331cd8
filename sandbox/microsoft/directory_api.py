"""Graph's directory: the signed-in user, and all users of a tenant for whoever may list them (contract 3.6)."""

from __future__ import annotations

from typing import Any

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.forms import bad_query, guid, refuse
from sandbox.microsoft.mail_api import CONTEXT
from sandbox.microsoft.odata import parse_filter
from sandbox.microsoft.outlook import OutlookBox

_USUAL = ("businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation")
_USUAL += ("preferredLanguage", "surname", "userPrincipalName", "id")
_READERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "User.ReadBasic.All")


class DirectoryApi:
    """One method for each path."""

    def get_user(self, ask: Ask) -> Any:
        box = ask.mailbox
        if ask.grant.email != box.email:
            _may_list(ask)
        else:
            ask.may("User.Read", "User.ReadWrite", *_READERS, directory=True)
        names = ask.select(_USUAL)
        return {"@odata.context": f"{CONTEXT}#users/$entity"} | self._shown(ask, box, names)

    def list_users(self, ask: Ask) -> Any:
        """Users of the app's tenant, unlicensed and disabled ones too; pages by $skiptoken."""
        _may_list(ask)
        names = ask.select(_USUAL)
        found = [one for one in ask.microsoft.users.values() if one.tenant == ask.grant.tenant]
        if text := ask.request.one("$filter"):
            test, _ = parse_filter(text)
            found = [one for one in found if test(lambda path, one=one: _value(self._shown(ask, one, ()), path))]
        found.sort(key=lambda one: one.oid)
        token, size = ask.request.one("$skiptoken"), ask.top(100, 999)
        found = [one for one in found if one.oid > token]
        answer: dict[str, Any] = {"@odata.context": f"{CONTEXT}#users"}
        answer["value"] = [self._shown(ask, one, names) for one in found[:size]]
        if len(found) > size:
            kept = {
                n.removeprefix("$"): ask.request.one(n) for n in ("$select", "$filter", "$top") if ask.request.one(n)
            }
            answer["@odata.nextLink"] = ask.link("users", **kept, skiptoken=found[size - 1].oid)
        return answer

    def mailbox_settings(self, ask: Ask) -> Any:
        box = ask.mailbox
        shown = {
            "archiveFolder": box.known["archive"].id,
            "timeZone": "W. Europe Standard Time",
            "userPurpose": box.purpose,
        }
        shown |= {"delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly", "dateFormat": "dd-MM-yyyy"}
        shown |= {"timeFormat": "HH:mm", "language": {"locale": f"{box.language}-GB", "displayName": box.language}}
        names = ask.select(tuple(shown))
        context = {"@odata.context": f"{CONTEXT}#users('{box.oid}')/mailboxSettings"}
        return context | {name: value for name, value in shown.items() if name in names}

    def _shown(self, ask: Ask, box: OutlookBox, names: tuple[str, ...]) -> dict[str, Any]:
        first, _, last = box.name.partition(" ")
        address = box.email if box.enabled else None
        shown: dict[str, Any] = {"id": box.oid, "displayName": box.name, "givenName": first, "surname": last or None}
        shown |= {"mail": address, "userPrincipalName": box.email, "businessPhones": [], "jobTitle": None}
        shown |= {"mobilePhone": None, "officeLocation": None, "preferredLanguage": box.language, "otherMails": []}
        shown |= {"accountEnabled": box.email not in ask.microsoft.entra.disabled, "userType": "Member"}
        proxies = [f"SMTP:{box.email}", *(f"smtp:{one}" for one in box.aliases)] if box.enabled else []
        licence = {"skuId": guid("sku", "O365_BUSINESS"), "disabledPlans": []}
        shown |= {"proxyAddresses": proxies, "assignedLicenses": [licence] if box.enabled else []}
        unknown = [one for one in names if one not in shown]
        if unknown:
            raise bad_query(f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.user'.")
        return {name: shown[name] for name in names} if names else shown


def find_user(ask: Ask, name: str) -> OutlookBox:
    """The user of a path, in the caller's tenant. Raises Refusal (404)."""
    found = ask.microsoft.find(name)
    if found is None or found.tenant != ask.grant.tenant:
        message = f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
        raise refuse(404, "Request_ResourceNotFound", message)
    return found


def _may_list(ask: Ask) -> None:
    held = set(ask.grant.roles if not ask.grant.email else ask.scopes)
    if not held & set(_READERS):
        raise refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _value(shown: Any, path: str) -> Any:
    for name in path.split("/"):
        if not isinstance(shown, dict) or name not in shown:
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.user'.")
        shown = shown[name]
    return shown
