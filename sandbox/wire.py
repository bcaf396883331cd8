"""Requests, answers and refusals: what passes between the socket and the pretend services."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

JSON = "application/json; charset=UTF-8"


@dataclass(slots=True)
class Request:
    """One HTTP request, or one part of a batch. Header names are lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    base: str = ""
    part_of_batch: bool = False
    path: str = ""
    query: dict[str, list[str]] = field(default_factory=dict)
    operation: str = ""
    account: str = ""
    item: str = ""

    def __post_init__(self) -> None:
        split = urlsplit(self.target) if "://" in self.target else None
        path, _, query = self.target.partition("?") if split is None else (split.path, "", split.query)
        self.path = path
        self.query = parse_qs(query, keep_blank_values=True) if query else {}

    def absorb_override(self) -> None:
        """A GET that was too long for a URL comes as POST with its query as a form body (x-http-method-override)."""
        override = self.headers.get("x-http-method-override")
        if override and self.method == "POST":
            self.method = override.upper()
            for name, values in self.form().items():
                self.query.setdefault(name, []).extend(values)
            self.body = b""

    def one(self, name: str, default: str = "") -> str:
        values = self.query.get(name)
        return values[-1] if values else default

    def many(self, name: str) -> list[str]:
        return self.query.get(name, [])

    def flag(self, name: str, default: bool = False) -> bool:
        values = self.query.get(name)
        return values[-1].lower() == "true" if values else default

    def number(self, name: str, default: int, most: int) -> int:
        text = self.one(name)
        if not text:
            return default
        if not text.isdigit() or int(text) < 1:
            raise bad_request(f"Invalid value at '{name}': {text!r}")
        return min(int(text), most)

    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError:
            raise bad_request("Parse Error") from None


@dataclass(slots=True)
class Answer:
    """What goes back. `wire` names a misbehaviour of the socket itself (see sandbox/faults.py), "" for none."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wire: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, dump(value), {"Content-Type": JSON})


class Refusal(Exception):
    """A request is answered with an error; carries the whole answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def google_error(
    code: int,
    status: str,
    reason: str,
    message: str,
    *,
    domain: str = "global",
    details: list[dict] | None = None,
    headers: Mapping[str, str] | None = None,
    location: str = "",
) -> Answer:
    """The error envelope of Google's JSON APIs ("Resolve errors" in the Gmail guide). status "" gives the older form."""
    entry: dict[str, Any] = {"message": message, "domain": domain, "reason": reason}
    if location:
        entry |= {"locationType": "parameter", "location": location}
    error: dict[str, Any] = {"code": code, "message": message, "errors": [entry]}
    if status:
        error["status"] = status
    if details:
        error["details"] = details
    return Answer(code, dump({"error": error}), {"Content-Type": JSON, **(headers or {})})


def oauth_error(code: int, error: str, description: str, **more: str) -> Answer:
    """RFC 6749 section 5.2."""
    return Answer(code, dump({"error": error, "error_description": description, **more}), {"Content-Type": JSON})


def bad_request(message: str, *, reason: str = "invalidArgument", location: str = "") -> Refusal:
    return Refusal(google_error(400, "INVALID_ARGUMENT", reason, message, location=location))


def not_found(message: str = "Requested entity was not found.") -> Refusal:
    return Refusal(google_error(404, "NOT_FOUND", "notFound", message))


def forbidden(message: str) -> Refusal:
    return Refusal(google_error(403, "PERMISSION_DENIED", "forbidden", message))


def unauthenticated() -> Refusal:
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'}
    return Refusal(google_error(401, "UNAUTHENTICATED", "authError", "Invalid Credentials", headers=headers))


def lacks_scope() -> Refusal:
    message = "Request had insufficient authentication scopes."
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "domain": "googleapis.com",
            "metadata": {},
        }
    ]
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"'}
    return Refusal(
        google_error(403, "PERMISSION_DENIED", "insufficientPermissions", message, details=details, headers=headers)
    )
