"""Many requests in one: multipart/mixed batches as Google's clients send and read them (CRLF, Content-ID response-...)."""

from __future__ import annotations

import re
import secrets

from sandbox.mime import split_head
from sandbox.presets import inner_answer
from sandbox.wire import Answer, Request, bad_request

MOST = 100
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.I)


def split_batch(request: Request) -> list[tuple[str, Request]]:
    """(Content-ID, inner request) for each part. Raises Refusal (400) for a body that is no batch."""
    found = _BOUNDARY.search(request.headers.get("content-type", ""))
    if not found:
        raise bad_request("Missing boundary in the batch request.", reason="badRequest")
    pieces = (b"\r\n" + request.body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).split(
        b"\r\n--" + found[1].encode()
    )
    parts = [_part(piece, request) for piece in pieces[1:] if not piece.startswith(b"--")]
    if not parts:
        raise bad_request("Failed to parse batch request, error: 0 items.", reason="badRequest")
    return parts


def join_batch(answers: list[tuple[str, Answer]]) -> Answer:
    mark = f"batch_{secrets.token_urlsafe(12)}"
    pieces = []
    for content_id, answer in answers:
        head = f"--{mark}\r\nContent-Type: application/http\r\n"
        if content_id:
            head += f"Content-ID: <response-{content_id.strip().lstrip('<').rstrip('>')}>\r\n"
        pieces.append(head.encode() + b"\r\n" + inner_answer(answer) + b"\r\n")
    body = b"".join(pieces) + f"--{mark}--\r\n".encode()
    return Answer(200, body, {"Content-Type": f"multipart/mixed; boundary={mark}"})


def _part(piece: bytes, outer: Request) -> tuple[str, Request]:
    head, inner = split_head(piece.lstrip(b"\r\n"))
    content_id = _headers(head.split(b"\r\n")).get("content-id", "")
    head, body = split_head(inner.lstrip(b"\r\n"))
    line, *rest = head.split(b"\r\n")
    words = line.decode("latin-1").split()
    if len(words) < 2:
        raise bad_request("Failed to parse batch request.", reason="badRequest")
    headers = _headers(rest)
    headers.setdefault("authorization", outer.headers.get("authorization", ""))
    made = Request(words[0].upper(), words[1], headers, body, base=outer.base, part_of_batch=True)
    made.absorb_override()
    return content_id, made


def _headers(lines: list[bytes]) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in lines if b":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
