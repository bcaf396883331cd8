"""Was it written by a machine? Headers first, then the shape of the message, then the sender's name, at last its footer.

Sources: RFC 3834 (Auto-Submitted), RFC 2919 (List-Id), RFC 2369 (List-Unsubscribe), RFC 8058, RFC 3464 (delivery status),
RFC 8098 (read receipts), RFC 5546 (calendar methods); Precedence and the X- headers are custom, widely used. A person's own
hand-written absence note carries none of these and stays a person's mail.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from connectors.footer import offers_a_way_out
from connectors.items import Machine, Party
from connectors.parts import Part, parameters
from connectors.words import decode_bytes

_BOUNCE_SENDER = re.compile(r"^(mailer-daemon|postmaster|mail-daemon|mailerdaemon|mdaemon|bounces?([+=-].*)?)$", re.I)
_ROBOT_SENDER = re.compile(
    r"^(.*[._+-])?(no[-_.]?reply|do-?not-?reply|donotreply|noresponse|no[-_.]?address|automailer|auto-?confirm|autoresponder|"
    r"notifications?|notify|alerts?|newsletters?|news-?letter|mailings?|announce(ments?)?|listserv|majordomo|mailman|"
    r"(un)?subscri(be|ptions?)|calendar-notification|e?mail-?robot|robot|daemon|(ar)?system|billing-?noreply|updates?)"
    r"([._+-].*|\d+)?$|^news$",
    re.I,
)
_EXCHANGE_SENDER = re.compile(r"^(microsoft[._-]?exchange[0-9a-f]*|(exchange|system)[._-]?administrator)$", re.I)
"""Who signs a bounce at an Exchange server, new and old; of use only with the words of a bounce, since people may be it too."""
_LIST_SENDER = re.compile(r"^(owner-.+|.+-(owner|request))$", re.I)
"""The names that sendmail, Majordomo and Mailman keep for a list's machinery (RFC 2142 6)."""
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|delivery (status|failure|has failed|report)|returned mail|mail delivery (failed|system|subsystem)|"
    r"failure notice|delivery notification|mail could not be delivered|message not delivered|warning: could not send|"
    r"unzustellbar|nicht zugestellt|non remis|non distribu|échec de la remise|no se puede entregar|no entregado|"
    r"onbestelbaar|niet afgeleverd|mancata consegna|não entregue|退信|系统退信|returned to sender|nondeliverable|"
    r"user unknown|delivery error|mail system error|message could not be delivered",
    re.I,
)
_AUTO_SUBJECT = re.compile(
    r"^\s*(auto(matic|matische|mated)?[ -:]?\s?(reply|response|antwort|antwoord)|out of (the )?office|autoreply|abwesen|"
    r"abwesenheit|réponse automatique|respuesta automática|automatisch antwoord|afwezig|absence du bureau|"
    r"fuera de (la )?oficina|risposta automatica|resposta automática|自动回复|自動回覆|ooo:|on vacation)",
    re.I,
)
_AUTO_PREFIX = re.compile(
    r"\s*(auto(matic|mated|matische)[ -]?(reply|response|antwort)|autoreply|auto[ -](reply|response)\s*(:|$)|"
    r"out of (the )?office auto-?reply|(abwesenheitsnotiz|abwesenheitsmeldung|automatisch antwoord|afwezigheidsbericht|"
    r"réponse automatique|message d'absence|respuesta automática|mensaje de ausencia|risposta automatica|resposta automática|"
    r"自动(回复|答复)|自動(回覆|答覆))\s*[:：])",
    re.I,
)
"""What mail programs themselves put before the subject that they answer; nobody types it."""
_HANDED_ON = re.compile(
    r"\s*(re|aw|sv|antw|fwd?|wg|tr|rv|rif|i|vs|回复|答复|回覆|转发|轉寄)\s*(\[\d+\])?\s*[:：]", re.I
)
_UNDELIVERED = re.compile(
    r"(could|can|was|were|has|have)( ?n[o']t|not) (be|been|yet been)? ?delivered|unable to deliver|undeliverable|non-deliver|"
    r"delivery (to the following|has failed|failed)|did not reach|returned to sender|failed recipients?|"
    r"user unknown|unknown user|no such user|\b5\d\d[ -]5\.\d\.\d|could not be sent|errors? (delivering|while delivering)",
    re.I,
)
_RECEIPT_SUBJECT = re.compile(r"^\s*(read|gelesen|gelezen|lu|leído|letto)\s*:", re.I)
_QUOTED_HEAD = re.compile(r"^(received|return-path|message-id):\s", re.I | re.M)
_BULK_WORDS = {"bulk": "bulk", "junk": "bulk", "list": "list", "auto_reply": "auto_reply"}


def judge(
    headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str, *, outbound: bool
) -> tuple[Machine | None, str]:
    """(kind, the sign that told) or (None, ""). ``headers``: names in lower case, first value each. What our own user
    sent is never a machine's, whatever a sales tool puts on it, unless it answered by itself."""
    auto = headers.get("auto-submitted", "").partition(";")[0].strip().lower()
    if outbound:
        return ("auto_reply", f"Auto-Submitted: {auto}") if auto == "auto-replied" else (None, "")
    for rule in (_report, _calendar, _bounce, _auto_reply, _list, _bulk, _footer):
        found = rule(headers, parties, root, subject)
        if found is not None:
            return found
    return None, ""


_Found = tuple[Machine, str] | None
WORDS_ALONE = "the offer to unsubscribe at its end"
"""The reason of a circular whose headers say nothing."""


def _report(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    content = headers.get("content-type", "")
    if "multipart/report" not in content.lower():
        return None
    kind = parameters(content).get("report-type", "").lower()
    if kind == "disposition-notification":
        return "receipt", "a read receipt (RFC 8098)"
    if kind == "feedback-report":
        return "notification", "an abuse report (RFC 5965)"
    return "bounce", "a delivery report (RFC 3464)"


def _calendar(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    parts = root.walk() if root is not None else []
    for part in parts:
        if part.mime == "text/calendar":
            method = parameters(part.header("content-type")).get("method", "").upper()
            if method or any(other.filename.lower().endswith("invite.ics") for other in parts):
                return "calendar", f"a calendar message ({method or 'invitation'})"
    content = headers.get("content-type", "").lower()
    if content.startswith("text/calendar"):
        return "calendar", "a calendar message"
    if "x-ms-olk-forceinspectoropen" in headers and "calendar" in content:
        return "calendar", "a calendar message"
    return None


def _bounce(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    if "x-failed-recipients" in headers:
        return "bounce", "X-Failed-Recipients"
    local = _sender_local(parties) or _nameless_sender(headers)
    empty_path = headers.get("return-path", "x").strip() in ("<>", "< >")
    if _BOUNCE_SENDER.match(local) and (
        _BOUNCE_SUBJECT.search(subject) or empty_path or not local.startswith("bounce")
    ):
        if _AUTO_SUBJECT.search(subject):
            return "auto_reply", "an automatic subject from a mail system"
        return "bounce", f"sent by {local.lower()}"
    if _EXCHANGE_SENDER.match(local) and _BOUNCE_SUBJECT.search(subject):
        return "bounce", f"sent by {local.lower()}"
    if empty_path and _BOUNCE_SUBJECT.search(subject):
        return "bounce", "Return-Path: <> and the subject"
    if root is not None and any(part.mime == "message/delivery-status" for part in root.walk()):
        return "bounce", "a delivery status part"
    if not _sender_local(parties) and _BOUNCE_SUBJECT.search(subject):
        return "bounce", "the subject of a mail system"
    if (empty_path or _BOUNCE_SUBJECT.match(subject.strip())) and _returns_mail(root):
        return "bounce", "a returned mail and the words of a mail system"
    return None


def _auto_reply(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    auto = headers.get("auto-submitted", "").partition(";")[0].strip().lower()
    if auto and auto != "no":
        if auto == "auto-replied" or _AUTO_SUBJECT.search(subject):
            return "auto_reply", f"Auto-Submitted: {auto}"
        if "list-id" in headers:
            return "list", f"List-Id: {headers['list-id'][:80]}"
        return "notification", f"Auto-Submitted: {auto}"
    for name in (
        "x-autoreply",
        "x-autorespond",
        "x-autoresponse",
        "x-auto-reply",
        "x-mail-autoreply",
        "x-autoreply-from",
        "x-vacation",
    ):
        if headers.get(name, "no").strip().lower() not in ("no", "false"):
            return "auto_reply", name
    suppress = headers.get("x-auto-response-suppress", "").lower()
    if _AUTO_SUBJECT.search(subject):
        if suppress or headers.get("precedence", "").lower() in ("auto_reply", "bulk", "junk"):
            return "auto_reply", "an automatic subject and header"
        if headers.get("return-path", "x").strip() in ("<>", "< >"):
            return "auto_reply", "Return-Path: <> and the subject"
    if _AUTO_PREFIX.match(subject):
        return "auto_reply", "the subject of an automatic reply"
    if headers.get("precedence", "").strip().lower() == "auto_reply":
        return "auto_reply", "Precedence: auto_reply"
    if suppress and ("oof" in suppress or "all" in suppress or "autoreply" in suppress):
        return "notification", "X-Auto-Response-Suppress"
    if "disposition-notification" in headers.get("content-type", "").lower():
        return "receipt", "a read receipt"
    if _RECEIPT_SUBJECT.search(subject) and headers.get("x-ms-exchange-generated-message-source"):
        return "receipt", "a read receipt"
    return None


def _list(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    if "list-id" in headers:
        return "list", f"List-Id: {headers['list-id'][:80]}"
    for name in (
        "list-post",
        "list-help",
        "list-subscribe",
        "mailing-list",
        "x-mailing-list",
        "x-mailman-version",
        "x-beenthere",
    ):
        if name in headers:
            return "list", name
    if headers.get("precedence", "").strip().lower() == "list":
        return "list", "Precedence: list"
    local = _sender_local(parties)
    if _LIST_SENDER.match(local):
        return "list", f"sent by {local.lower()}"
    if "x-google-group-id" in headers or "x-original-sender" in headers and "list-unsubscribe" in headers:
        return "list", "a mailing list's header"
    return None


def _bulk(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    precedence = headers.get("precedence", "").strip().lower()
    if precedence in _BULK_WORDS:
        return "bulk", f"Precedence: {precedence}"
    for name in (
        "list-unsubscribe",
        "list-unsubscribe-post",
        "feedback-id",
        "x-campaign",
        "x-campaignid",
        "x-mailgun-sid",
    ):
        if name in headers:
            return "bulk", name
    local = _sender_local(parties)
    if _ROBOT_SENDER.match(local):
        return "notification", f"sent by {local.lower()}"
    if headers.get("x-ms-exchange-generated-message-source") and not local:
        return "notification", "generated by Exchange"
    return None


def _footer(headers: Mapping[str, str], parties: Sequence[Party], root: Part | None, subject: str) -> _Found:
    if root is None or _HANDED_ON.match(subject) or "in-reply-to" in headers:
        return None
    return ("bulk", WORDS_ALONE) if offers_a_way_out(root) else None


def _returns_mail(root: Part | None) -> bool:
    """Whether a message says that something was not delivered and carries a mail along, or begins with a mail's headers."""
    parts = root.walk() if root is not None else []
    own = next((part for part in parts if part.mime.startswith("text/") and part.data), None)
    if own is None:
        return False
    text = decode_bytes((own.data or b"")[:8_000], own.charset)
    carries = any(part.mime in ("message/rfc822", "text/rfc822-headers") for part in parts)
    return bool(_UNDELIVERED.search(text[:3_000])) and (carries or bool(_QUOTED_HEAD.search(text)))


def _nameless_sender(headers: Mapping[str, str]) -> str:
    """What a From without an address says, as mail systems write it: ``MAILER-DAEMON``, ``Mail Delivery <MAILER-DAEMON>``."""
    words = re.findall(r"[\w-]+", headers.get("from", "")[:200])
    return next((word for word in words if _BOUNCE_SENDER.match(word)), "")


def _sender_local(parties: Sequence[Party]) -> str:
    sender = next((party.address for party in parties if party.role == "from"), "")
    sender = sender or next((party.address for party in parties if party.role == "sender"), "")
    return sender.rpartition("@")[0].strip('"')
