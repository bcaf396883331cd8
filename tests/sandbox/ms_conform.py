"""Holds an answer against the cut of Microsoft Graph's OpenAPI (tests/sandbox/graph_v1.json): unknown property, type, format."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from typing import Any

from tests.sandbox.cut_graph import FIXTURE

TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}
NEWER = {"microsoft.graph.event": {"cancelledOccurrences", "exceptionOccurrences"}}
"""Properties that Microsoft added after the document (msgraph-sdk 1.65.0 knows them)."""


@cache
def document() -> dict[str, Any]:
    return json.loads(FIXTURE.read_text("utf-8"))


def template(path: str) -> str:
    """The path of the document that a path below /v1.0 is an instance of; users/{id} is read as me. "" for none."""
    path = re.sub(r"^/users/[^/]+", "/me", path.partition("?")[0]) if path != "/users" else path
    exact = [one for one in document()["paths"] if one == path]
    shaped = [one for one in document()["paths"] if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", one), path)]
    return next(iter(exact + sorted(shaped, key=lambda one: one.count("{"))), "")


def faults(method: str, path: str, answer: Any) -> list[str]:
    """What is wrong with the answer of a method and a path; nothing for a right one."""
    responses = document()["paths"][template(path)][method.lower()]["responses"]
    (status, given), *_ = responses.items()
    if "content" not in given:
        return [] if not answer else [f"{path} answers nothing ({status}), not {answer!r:.40}"]
    return list(_value(given["content"]["application/json"]["schema"], answer, path))


def named(schema: str, value: Any) -> list[str]:
    """What is wrong with a value of the schema microsoft.graph.NAME."""
    return list(_value({"$ref": f"#/components/schemas/microsoft.graph.{schema}"}, value, schema))


def _value(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict) and "@odata.type" in value:
        schema = {"$ref": "#/components/schemas/" + _type_name(value["@odata.type"])}
        if schema["$ref"].rpartition("/")[2] not in document()["components"]["schemas"]:
            yield f"{path}: no type {value['@odata.type']}"
            return
    known, rest = _flat(schema)
    if isinstance(value, dict) and known is not None:
        yield from _object(known, value, path)
        return
    if value is None:
        if not rest.get("nullable"):
            yield f"{path} is null"
        return
    yield from _plain(rest, value, path)


def _type_name(odata: str) -> str:
    """Notices write #Microsoft.Graph.Message where everything else writes #microsoft.graph.message."""
    name = odata.removeprefix("#")
    last = name.rpartition(".")[2]
    return f"microsoft.graph.{last[0].lower()}{last[1:]}" if name.startswith("Microsoft.Graph.") else name


def _flat(schema: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """(properties with those of its bases, None when it is no object; the plain schema)."""
    nullable = schema.get("nullable", False)
    for many in ("anyOf", "oneOf"):
        if many in schema:
            nullable = nullable or any(one.get("nullable") for one in schema[many])
            schema = schema[many][0]
    name = ""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = document()["components"]["schemas"][name]
    found = dict(schema.get("properties", {}))
    for base in schema.get("allOf", ()):
        found |= _flat(base)[0] or {}
    found |= dict.fromkeys(NEWER.get(name, ()), {})
    is_object = bool(found) or "allOf" in schema or schema.get("type") == "object"
    return (found if is_object else None), schema | ({"nullable": True} if nullable else {})


def _object(known: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    if "@removed" in value:
        if set(value) - {"@odata.type", "id", "@removed"} or value["@removed"].get("reason") not in (
            "deleted",
            "changed",
        ):
            yield f"{path}: a removed item is {value!r:.80}"
        return
    for name, one in value.items():
        if name in known:
            if known[name]:
                yield from _value(known[name], one, f"{path}.{name}")
        elif not name.startswith("@odata.") and "@odata." not in name:
            yield f"{path}.{name} is unknown"


def _plain(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    kind = schema.get("type", "")
    if kind and (not isinstance(value, TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool))):
        yield f"{path}: {value!r:.40} is no {kind}"
    elif kind == "array":
        for at, one in enumerate(value):
            yield from _value(schema["items"], one, f"{path}[{at}]")
    elif schema.get("enum") and value not in schema["enum"]:
        yield f"{path}: {value!r:.40} is none of {schema['enum']}"
    elif kind == "string" and not _formed(schema, value):
        yield f"{path}: {value!r:.40} is no {schema.get('format') or schema.get('pattern')}"


def _formed(schema: dict[str, Any], value: str) -> bool:
    form = schema.get("format", "")
    if schema.get("pattern") and not re.search(schema["pattern"], value):
        return False
    if form == "date-time":
        return datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None
    if form == "date":
        return date.fromisoformat(value).isoformat() == value
    if form == "base64url":
        return _base64(value)
    return True


def _base64(value: str) -> bool:
    try:
        base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_" if re.search("[-_]", value) else None)
    except ValueError:
        return False
    return True
