"""What did the sender write *this time*? Everything that repeats an earlier mail, forwards one, signs off below a
signature mark or disclaims is taken away; answers written between quoted lines stay.

Works on plain text, line by line, with the marks that mail programs leave in many languages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.html_text import CUT

MOST_LINES = 6000
MOST_SIGNED = 40
"""Filled lines below a signature mark from which on it is no signature."""
_BLANKS = re.compile(r"[ \t]{2,}")
_WROTE = (
    r"wrote|writes|said|schrieb|schrieben|geschrieben|schreef|heeft (?:het )?volgende geschreven|a écrit|ha escrito|escribió|"
    r"ha scritto|scrisse|escreveu|skrev|skreiv|kirjoitti|napisał(?:\(a\)|a)?|napsal(?:\(a\)|a)?|írta|a scris|написал\w*|пишет|пише|писал\w*|"
    r"schreibt|schreven|yazdı|έγραψε|写道|寫道|写到|escrigué|va escriure|さんは書きました|のメッセージ"
)
_OPENERS = r"On|Am|Le|El|Op|Il|Em|Den|W dniu|Dne|Dnia|Dana|På|Pe|Vào|Il giorno|Em|No dia|Op het moment|Quoting|In article|在|于|於"
_OPENER = re.compile(rf"^\W{{0,3}}(?:{_OPENERS})\b", re.I)
_WROTE_WORD = re.compile(_WROTE, re.I)
_WROTE_PIECES = (
    "wrot", "writ", "said", "schr", "crit", "escr", "scri", "skre", "kirjoitti", "napis", "naps", "rta",
    "писал", "пише", "yazd", "γραψε", "写", "寫", "書", "メ",
)  # fmt: skip
"""One of these stands in every lower-case text with such a verb; asking for them is a hundred times quicker."""
_WHO_OR_WHEN = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,200}|\b\d{1,2}[:.h]\d{2}|\d{4}")
_WHO_AND_WHEN = re.compile(r"\d.*(?:<|@|\b\d{1,2}[:.h]\d{2})")
_CJK_ATTRIBUTION = re.compile(r"^(?:在|于|於)?.{4,200}(?:写道|寫道|写到)\s*[:：]\s*$", re.S)
_DATED_ATTRIBUTION = re.compile(
    r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\s+\d{1,2}:\d{2}\b.{0,200}(?:<[^>]+>|GMT[+-]\d{1,2}:?\d{0,2}.{2,60}):?\s*$", re.S
)
_NAME_WROTE = re.compile(r"^[^.?!]{2,80}\b(?:wrote|writes|schrieb|schreef|a écrit|escribió|skrev)\s*[:：]\s*$", re.I)
_ORIGINAL = re.compile(
    r"^[\s>]*[-_*=—]{2,}\s*(?:original(?: message| appointment|nachricht| meddelelse|e-?mail)?|original message|"
    r"ursprüngliche (?:nachricht|e-?mail)|"
    r"message d'origine|message original|mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|"
    r"oorspronkelijke bericht|forwarded (?:message|by)|weitergeleitete nachricht|message transféré|doorgestuurd bericht|"
    r"mensaje reenviado|messaggio inoltrato|opprinnelig melding|ursprungligt meddelande|oprindelig meddelelse|"
    r"alkuperäinen viesti|原始邮件|原始郵件|转发的邮件|转发邮件信息|reply above this line|reply message)\b.*$",
    re.I,
)
_FORWARD_START = re.compile(
    r"^\s*(?:begin forwarded message|anfang der weitergeleiteten (?:nachricht|e-mail)|début du (?:message|courriel) "
    r"(?:réexpédié|transféré)|inicio del mensaje reenviado|inizio messaggio inoltrato|begin doorgestuurd bericht|"
    r"-+ ?forwarded by\b.*|-+ ?forwarded message.*)\s*:?\s*-*\s*$",
    re.I,
)
_FORWARD_PIECES = ("forward", "weitergeleit", "expédié", "transf", "reenviado", "inoltrato", "doorgestuurd")
"""The same for the beginning of a mail that is handed on."""
_MARKS = frozenset("-_*=—━─>")
"""What a line begins with that may be a rule or announce the original."""
_LABEL = (
    r"from|von|de|van|da|fra|från|od|lähettäjä|发件人|寄件者|寄件人|expéditeur|remitente|mittente",
    r"sent|date|gesendet|datum|envoyé|enviado|verzonden|inviato|fecha|data|sendt|skickat|wysłano|lähetetty|发送时间|日期|傳送時間|"
    r"date d'envoi|enviado el|enviada em",
    r"to|an|à|aan|para|a|til|till|do|vastaanottaja|收件人|destinataire|destinatario|cc|kopie|copie|抄送",
    r"subject|betreff|objet|onderwerp|asunto|oggetto|assunto|emne|ämne|temat|aihe|主题|主旨|re",
)
_LABELS = [re.compile(rf"^[\s>*]*(?:{words})\s?\*?\s*[:：]\*?(?:\s|\S)", re.I) for words in _LABEL]
_QUOTED = re.compile(r"^\s{0,3}(?:>|\|(?=\s))")
_SIGNATURE = re.compile(r"^(?:--|— ?|__|\*{2,}|—)\s?$|^-- \S.{0,40}$")
_RULE = re.compile(r"^\s*(?:[_=*-]{5,}|[━─—]{3,})\s*$")
_DEVICE = re.compile(
    r"^\s*\W{0,2}(?:sent (?:from|via|using|with) (?:my |the |a )?[\w' .-]{2,50}|get outlook for \w+|sent on the \w+.*|"
    r"(?:von meinem|gesendet (?:von|mit|aus))\b.{2,60}|diese nachricht wurde von mein.{2,60}|envoyé (?:de(?:puis)?|avec|à partir)\b.{2,60}|"
    r"enviado (?:desde|do|de|a partir)\b.{2,60}|verzonden (?:vanaf|met|via|vanuit)\b.{2,60}|inviato (?:da|dal|tramite)\b.{2,60}|"
    r"skickat från\b.{2,60}|sendt fra\b.{2,60}|发自我的.{1,30}|從我的.{1,30}傳送|lähetetty .{2,40}|obter o outlook.{2,40}|"
    r"outlook (?:für|voor|pour|para) \w+.{0,40}|typed (?:on|with) .{2,50}|enviat des d.{2,40})\W*$",
    re.I,
)
_CLOSING = re.compile(
    r"^\s*(?:(?:(?:with )?(?:best|kind|warm|kindest|warmest)(?: (?:regards|wishes))?|regards|cheers|thanks(?: (?:again|and regards|a lot|so much))?|"
    r"many thanks|thank you|thx|sincerely(?: yours)?|yours (?:sincerely|faithfully|truly)|take care|br|kr|rgds|"
    r"mit (?:freundlichen|besten|lieben|herzlichen) grü(?:ß|ss)en|(?:freundliche|beste|liebe|viele|herzliche|schöne) grü(?:ß|ss)e|mfg|vg|lg|gru(?:ß|ss)|"
    r"met (?:vriendelijke|hartelijke) groet(?:en)?|(?:vriendelijke |hartelijke )?groet(?:en|jes)?|mvg|"
    r"(?:bien )?cordialement|bien à vous|cdlt|salutations(?: distinguées)?|bonne journée|meilleures salutations|à bientôt|"
    r"(?:un )?(?:cordial )?saludos?(?: cordiales)?|atentamente|un abrazo|muchas gracias|gracias|"
    r"cordiali saluti|distinti saluti|saluti|atenciosamente|abraços?|"
    r"med vänlig(?:a)? hälsning(?:ar)?|vänliga hälsningar|mvh|med venlig hilsen|vennlig hilsen|hilsen|"
    r"此致|敬礼|祝好|顺祝商祺|谢谢)\s*[,.!，。！-]*)\s*$",
    re.I,
)
_DISCLAIMER = re.compile(
    r"confidential|privileged|intended (?:only |solely )?(?:for|recipient)|if you (?:are not|have received)|unauthori[sz]ed|"
    r"disclaimer|vertraulich|nicht der richtige adressat|irrtümlich|vertrouwelijk|niet de geadresseerde|confidentiel|"
    r"confidencial|destinataire|destinatario|riservat|please consider the environment|think before (?:you )?print|保密|virus[- ]free|"
    r"scanned (?:by|for)|registered (?:in|office)|vat (?:no|reg)|amtsgericht|handelsregister|geschäftsführer|kvk",
    re.I,
)
_DISCLAIMER_PIECES = (
    "confiden", "privileged", "intended", "if you", "unauthori", "disclaimer", "vertrau", "adressat", "irrtüm", "vertrouw", "geadres",
    "destinat", "riservat", "environment", "before", "保密", "virus", "scanned", "registered", "vat ", "amts", "handels", "führer", "kvk",
)  # fmt: skip
"""One of these stands in every lower-case text with such a wording."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The new text, and the signature that stood below it. ``forwards``: an earlier mail is handed on."""

    new: str
    signature: str = ""
    forwards: bool = False


@dataclass(frozen=True, slots=True)
class _Signs:
    """What stands anywhere in a text, so that its lines need not be searched for it one by one."""

    wrote: bool
    forwarded: bool


def read_reply(text: str) -> Reply:
    """Take a text apart. Never raises; work is linear in the number of lines."""
    clean = _clean(text)
    kept, forwards = _without_earlier(clean.split("\n")[:MOST_LINES], _signs(clean))
    body, signature = _without_signature(kept)
    return Reply("\n".join(_trimmed(body)), "\n".join(_trimmed(signature)), forwards)


def _signs(text: str) -> _Signs:
    low = text.lower()
    return _Signs(any(piece in low for piece in _WROTE_PIECES), any(piece in low for piece in _FORWARD_PIECES))


def _clean(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").replace("\ufeff", "")
    return text.replace("\u2028", "\n").replace("\xa0", " ").replace("\u200b", "")


def _without_earlier(lines: list[str], signs: _Signs) -> tuple[list[str], bool]:
    """Drop quoted lines, the lines that introduce them, and everything behind a mark after which only earlier mail
    comes."""
    out: list[str] = []
    index, forwards = 0, False
    while index < len(lines):
        line = lines[index]
        if line == CUT:
            return _drop_attribution(out), forwards
        if _QUOTED.match(line):
            out = _drop_attribution(out) if out else out
            index += 1
            while index < len(lines) and (_QUOTED.match(lines[index]) or _wraps(lines, index)):
                index += 1
            continue
        length = _introduces(lines, index, signs)
        if length:
            rest = index + length
            if _quoted_follows(lines, rest):
                index = rest
                continue
            return out, forwards or bool(_FORWARD_START.match(_told(line))) or "forward" in line.lower()
        out.append(lines[index])
        index += 1
    return out, forwards


def _told(line: str) -> str:
    """A line as it is compared: its start, blank space run together, so that no pattern works on it for long."""
    return _BLANKS.sub(" ", line[:600])


def _introduces(lines: list[str], index: int, signs: _Signs) -> int:
    """How many lines, from here, introduce an earlier mail; 0 when none do."""
    line = _told(lines[index])
    joined = line.strip()
    if not joined:
        return 0
    marked = joined[0] in _MARKS
    if (marked and _ORIGINAL.match(line)) or (signs.forwarded and _FORWARD_START.match(line)):
        return 1
    if _header_block(lines, index):
        return 1
    if marked and _RULE.match(line):
        following = index + 1
        while following < len(lines) and not lines[following].strip():
            following += 1
        return following - index if following < len(lines) and _header_block(lines, following) else 0
    if not signs.wrote and not joined[0].isdigit():
        return 0
    for extra in range(4):
        if len(joined) > 500:
            return 0
        if _attributes(joined):
            return extra + 1
        follow = index + extra + 1
        if follow >= len(lines) or not lines[follow].strip() or _QUOTED.match(lines[follow]):
            return 0
        joined += " " + lines[follow].strip()
        if not _may_open(line):
            return 0
    return 0


def _attributes(text: str) -> bool:
    """Whether a text says only who wrote something and when: the verb stands near its end, a date or an address before it.
    Without a colon it must end with the writer, not with a sentence."""
    text = text.strip()
    if _DATED_ATTRIBUTION.match(text):
        return True
    low = text.lower()
    if not any(piece in low for piece in _WROTE_PIECES):
        return False
    if _CJK_ATTRIBUTION.match(text):
        return True
    colon = text.endswith((":", "："))
    near = [hit for hit in _WROTE_WORD.finditer(text) if len(text) - hit.end() <= (82 if colon else 62)]
    if not near:
        return False
    before = text[: near[-1].start()]
    opened = len(before) >= 6 and bool(_OPENER.match(text))
    if colon or text.endswith("--"):
        return opened or bool(_WHO_OR_WHEN.search(before[-360:]))
    return opened and not text.endswith((".", "!", "?")) and bool(_WHO_AND_WHEN.search(text))


def _may_open(line: str) -> bool:
    return bool(_OPENER.match(line)) or "@" in line or bool(re.search(r"\d{4}", line))


def _header_block(lines: list[str], index: int) -> bool:
    """Whether From:, Sent:, To: and Subject: (in some language) stand here together, each kind once at least thrice."""
    if ":" not in lines[index] and "：" not in lines[index]:
        return False
    if not (_LABELS[0].match(lines[index]) or _LABELS[1].match(lines[index]) or _LABELS[3].match(lines[index])):
        return False
    kinds = set()
    for line in lines[index : index + 8]:
        if not line.strip() and len(kinds) < 2:
            continue
        hit = next((number for number, label in enumerate(_LABELS) if label.match(line)), None)
        if hit is not None:
            kinds.add(hit)
    return len(kinds) >= 3 and 0 in kinds


def _quoted_follows(lines: list[str], index: int) -> bool:
    """Whether what an introduction announces is quoted with ``>``; answers may then stand between."""
    for line in lines[index : index + 4]:
        if line.strip():
            return bool(_QUOTED.match(line))
    return False


def _wraps(lines: list[str], index: int) -> bool:
    """A quoted line that a mail program broke: one short line between two quoted ones."""
    if not lines[index].strip():
        ahead = index + 1
        return ahead < len(lines) and bool(_QUOTED.match(lines[ahead]))
    return False


def _drop_attribution(out: list[str]) -> list[str]:
    """The one to three lines before quoted text that say who wrote it."""
    end = len(out)
    while end and not out[end - 1].strip():
        end -= 1
    for length in (1, 2, 3):
        if end - length < 0:
            break
        joined = " ".join(line.strip() for line in out[end - length : end])
        if len(joined) < 500 and (_attributes(joined) or _NAME_WROTE.match(joined)):
            return out[: end - length]
    return out


def _without_signature(lines: list[str]) -> tuple[list[str], list[str]]:
    """Split at the signature mark, the device line, or the closing; disclaimers at the end belong below."""
    filled = sum(1 for line in lines if line.strip())
    for index, line in enumerate(lines):
        filled -= bool(line.strip())
        if index and filled <= MOST_SIGNED and _SIGNATURE.match(line):
            return lines[:index], lines[index + 1 :]
    end = len(lines)
    cut = end
    for index in range(end - 1, -1, -1):
        if _DEVICE.match(_told(lines[index])):
            cut = index
        elif lines[index].strip() and cut - index > 14:
            break
    lines, below = lines[:cut], lines[cut:]
    kept = _without_disclaimer(lines)
    below = lines[len(kept) :] + below
    closing = _closing_at(kept)
    if closing is not None:
        named = _after_name(kept, closing)
        return kept[:named], kept[named:] + below
    return kept, below


def _after_name(lines: list[str], closing: int) -> int:
    """Behind the closing formula and the name below it, which belong to the letter; title, phone and address do not."""
    for index in range(closing + 1, len(lines)):
        if lines[index].strip():
            return (
                index + 1
                if len(lines[index].split()) <= 4 and not re.search(r"\d{3}|@|www", lines[index])
                else closing + 1
            )
    return len(lines)


def _without_disclaimer(lines: list[str]) -> list[str]:
    end = len(lines)
    while end:
        start = end
        while start and lines[start - 1].strip():
            start -= 1
        paragraph = " ".join(lines[start:end])
        if start == end:
            end -= 1
            continue
        if len(paragraph) > 120 and start and _disclaims(paragraph):
            end = start
            continue
        if _RULE.match(paragraph):
            end = start
            continue
        break
    return lines[:end]


def _disclaims(paragraph: str) -> bool:
    low = paragraph.lower()
    return any(piece in low for piece in _DISCLAIMER_PIECES) and len(_DISCLAIMER.findall(paragraph)) >= 2


def _closing_at(lines: list[str]) -> int | None:
    """Where a closing formula begins that only a short block follows (name, title, phone, address)."""
    filled = [index for index, line in enumerate(lines) if line.strip()]
    for index in filled[-12:]:
        if index > 0 and _CLOSING.match(_told(lines[index])):
            below = [lines[i] for i in filled if i > index]
            if (
                all(len(line) <= 90 for line in below)
                and len(below) <= 11
                and not any(_sentence(line) for line in below)
            ):
                return index
    return None


def _sentence(line: str) -> bool:
    """A line that says something (and so is no part of a signature)."""
    words = line.split()
    return len(words) >= 6 and line.rstrip().endswith((".", "?", "!")) and not re.search(r"\d{3}|@|www\.|http", line)


def _trimmed(lines: list[str]) -> list[str]:
    start, end = 0, len(lines)
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return [line.rstrip() for line in lines[start:end]]
