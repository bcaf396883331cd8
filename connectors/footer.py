"""The footer of a circular: the lines that say how to get off its list. The last sign of all, for bulk mail whose headers
carry none (RFC 2369 asks for List-Unsubscribe; the law in most countries asks for the words).

Only what the sender wrote this time counts, and only an offer to the reader: who quotes a newsletter, or asks to be taken
off one, is a person.
"""

from __future__ import annotations

import re

from connectors.parts import Part
from connectors.words import decode_bytes

TAIL = 2_500
"""Characters at the end of a text among which a footer is looked for."""
_OFFERS = re.compile(
    r"\b(?:to|click here to|you can|you may|may|wish(?:es)? to|want to|like to|prefer to)\b[^.!?]{0,60}?"
    r"\b(?:unsubscribe|opt[ -]?out|be (?:removed|taken) (?:from|off)|be removed|cancel your subscription)\b"
    r"|\bunsubscribe (?:here|now|link|at|by|instructions|options|from (?:this|our|these|all|future))|\bunsubscribe ?(?:[:<(|]|https?:)"
    r"|\bclick (?:here|below|on)\b[^.!?]{0,40}\b(?:unsubscribe|opt[ -]?out)\b"
    r"|\b(?:if you|those who|anyone who)\b[^.!?]{0,60}\b(?:no longer (?:wish|want|care)|(?:don't|do not|would not|wouldn't|"
    r"prefer not|would rather not|rather not)(?: (?:wish|want|like|care))?)(?: to)? (?:be contacted|receive)"
    r"|\b(?:to|and) (?:stop|discontinue|cancel) (?:receiving|getting|all|any|these|future|this)\b"
    r"|\bto (?:be |have yourself |have your (?:name|e-?mail)[^.!?]{0,20})?(?:remove|delete)d?\b[^.!?]{0,50}\b(?:list|mailing|"
    r"e-?mails?|offers?|database)\b"
    r"|\byou(?:'re| are| have| were)? (?:receiving|receive|received|sent|getting|got) this (?:e-?mail|message|newsletter|mailing|"
    r"offer)[^.!?]{0,80}\b(?:because|as an?|since|by)\b"
    r"|\b(?:manage|update|change|edit) your (?:e-?mail |mailing |subscription |communication )?(?:preferences|subscriptions?)\b"
    r"|(?:vom newsletter|hier|newsletter|mailing) (?:abmelden|abbestellen|austragen)|(?:um|wenn sie|möchten sie)[^.!?]{0,80}"
    r"(?:abzumelden|abzubestellen|abmelden|abbestellen|austragen|keine (?:weiteren )?(?:e-?mails|newsletter|informationen))"
    r"|(?:pour|souhaitez)[^.!?]{0,60}(?:vous désabonner|vous désinscrire|ne plus recevoir|se désabonner|se désinscrire)"
    r"|(?:lien|cliquez)[^.!?]{0,40}(?:désabonne|désinscri)|\bse (?:désabonner|désinscrire) (?:ici|de)"
    r"|(?:para|desea|si no)[^.!?]{0,60}(?:darse de baja|darte de baja|cancelar (?:la|su|tu) suscripción|dejar de recibir|"
    r"recibir más)|\bdarse de baja aquí"
    r"|(?:om|wilt u|wil je|klik hier)[^.!?]{0,80}(?:af te melden|uit te schrijven|afmelden|uitschrijven|niet (?:meer|langer) "
    r"(?:te )?ontvangen)|\b(?:hier|nieuwsbrief) (?:afmelden|uitschrijven)"
    r"|(?:per|vuoi|desider\w+)[^.!?]{0,60}(?:disiscriver|cancellar(?:ti|si|vi)|annullare l'iscrizione|non ricevere più)"
    r"|(?:para|deseja|quer)[^.!?]{0,60}(?:cancelar (?:a |sua |a sua )?(?:inscrição|assinatura)|descadastrar|deixar de receber)"
    r"|(?:点击|如需|如不|请)[^。！？]{0,30}(?:退订|取消订阅|退訂|取消訂閱)|退订请|取消訂閱",
    re.I,
)
_STEMS = (
    *(
        "unsub",
        "opt",
        "remove",
        "be taken",
        "delete",
        "cancel",
        "contacted",
        "receiv",
        "getting",
        "preferences",
        "subscription",
    ),
    *("stop", "discontinue"),
    *("this e-mail", "this email", "this message", "this newsletter", "this mailing", "this offer"),
    *("abmeld", "abbestell", "austrag", "abzu", "keine", "désabonn", "désinscri", "recevoir", "de baja", "suscripci"),
    *("recibir", "te melden", "te schrijven", "schrijven", "ontvangen", "afmelden", "iscri", "ricevere", "inscri"),
    *("assinatura", "descadastrar", "receber", "退订", "退訂", "取消"),
)
"""One of these stands in every offer; few texts hold one, and looking for them is cheap."""
_QUOTE = re.compile(
    r"^\s{0,3}>|^[\s>_-]*(?:original message|forwarded (?:message|by)|begin forwarded|ursprüngliche nachricht|weitergeleitete|"
    r"message d'origine|message transféré|mensaje original|mensaje reenviado|oorspronkelijk bericht|doorgestuurd bericht|"
    r"messaggio originale|mensagem original|原始邮件|转发邮件)|^[\s*]*(?:from|von|de|van|da|发件人)\s?[:：]\s?\S"
    r"|^(?:on|am|le|el|op|il|em)\b.{8,120}(?:wrote|schrieb|écrit|escribió|schreef|scritto|escreveu)\s?:",
    re.I | re.M,
)


def offers_a_way_out(root: Part) -> bool:
    """Whether the text that was written this time ends with the offer to unsubscribe."""
    text = _own(root)
    lowered = " ".join(text.lower().split())
    if not any(stem in lowered for stem in _STEMS):
        return False
    quote = _QUOTE.search(text)
    own = " ".join(text[: quote.start() if quote else len(text)][-TAIL:].replace("’", "'").split())
    return bool(_OFFERS.search(own))


def _own(root: Part) -> str:
    """The plain text of a message; else its HTML as text."""
    texts = [
        part for part in root.walk() if part.mime in ("text/plain", "text/html") and part.data and not part.filename
    ]
    part = next((one for one in texts if one.mime == "text/plain"), texts[0] if texts else None)
    if part is None:
        return ""
    text = decode_bytes((part.data or b"")[:200_000], part.charset)
    if part.mime == "text/plain":
        return text
    from connectors.html_text import html_to_text

    return html_to_text(text)[0]
