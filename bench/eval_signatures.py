"""Signatures: what a contact's telephone and position are read from, on real mail, by the way the product reads it.

The lines of each signature are marked by hand; what stands on them is not. So a telephone counts as there when a marked line
holds seven digits or more that no word calls a fax or the like, and as right when its digits stand on a marked line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.eval_parsing import rows
from bench.figures import figure, keep_cases
from connectors.reply import read_reply
from worker.signature import read_signature, signed_block

Case = dict[str, Any]
_RUN = re.compile(r"[+(]?\d[\d\s().\-/]{5,}\d")
_OTHER = re.compile(r"fax|pager|zip|box", re.I)


def run(folder: Path) -> None:
    """Print signatures.phone_recall, phone_precision, title_precision and the counts behind them."""
    cases: list[Case] = []
    there = found = right = titles = placed = 0
    marked = [row for row in rows(folder / "signatures.jsonl.gz") if "signature_lines" in row]
    for row in marked:
        lines = row["text"].split("\n")
        signed = [lines[number] for number in row["signature_lines"]]
        reply = read_reply(row["text"])
        facts = read_signature(signed_block(reply.signature, reply.new, row["sender"]), row["sender"])
        has, hit = (
            any(map(_holds_phone, signed)),
            bool(facts.phone) and _digits(facts.phone) in _digits("".join(signed)),
        )
        there, found, right = there + has, found + bool(facts.phone), right + hit
        titles += bool(facts.title)
        placed += bool(facts.title) and any(facts.title in " ".join(line.split()) for line in signed)
        if has != hit or bool(facts.phone) != hit:
            cases.append({"case": "phone", "path": row["path"], "there": has, "found": bool(facts.phone)})
    figure("signatures.cases", len(marked))
    figure("signatures.phones", there)
    figure("signatures.phone_recall", right / max(1, there))
    figure("signatures.phone_precision", right / max(1, found))
    figure("signatures.titles", titles)
    figure("signatures.title_precision", placed / max(1, titles))
    keep_cases("signatures", cases)


def _holds_phone(line: str) -> bool:
    return any(
        7 <= len(_digits(run.group())) <= 15 and not _OTHER.search(line[max(0, run.start() - 12) : run.start()])
        for run in _RUN.finditer(line)
    )


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
