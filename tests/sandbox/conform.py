"""Holds an answer against a discovery document of google-api-python-client: unknown property, type, format."""

from __future__ import annotations

import base64
import json
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient

FOLDER = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
NAMES = {"gmail": "gmail.v1", "calendar": "calendar.v3", "directory": "admin.directory_v1", "pubsub": "pubsub.v1"}
TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}


@cache
def document(api: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{NAMES[api]}.json").read_text("utf-8"))


@cache
def methods(api: str) -> dict[str, dict[str, Any]]:
    """Every method of the document by its id."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [document(api)]
    while waiting:
        one = waiting.pop()
        found |= {method["id"]: method for method in one.get("methods", {}).values()}
        waiting += one.get("resources", {}).values()
    return found


def faults(method_id: str, answer: Any) -> list[str]:
    """What is wrong with the answer of a method; nothing for a right one. No response in the document: "" is right."""
    api = method_id.partition(".")[0]
    method = methods(api)[method_id]
    if "response" not in method:
        return [] if answer in ("", None, b"", {}) else [f"{method_id} answers nothing, not {answer!r:.40}"]
    return list(_schema(api, method["response"]["$ref"], answer, method_id))


def _schema(api: str, name: str, value: Any, path: str) -> Any:
    yield from _value(api, document(api)["schemas"][name], value, path)


def _value(api: str, schema: dict[str, Any], value: Any, path: str) -> Any:
    if "$ref" in schema:
        yield from _schema(api, schema["$ref"], value, path)
        return
    kind = schema.get("type", "any")
    if kind == "any":
        return
    if not isinstance(value, TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
        yield f"{path}: {value!r:.40} is no {kind}"
        return
    if kind == "array":
        for at, one in enumerate(value):
            yield from _value(api, schema["items"], one, f"{path}[{at}]")
    elif kind == "object":
        yield from _object(api, schema, value, path)
    elif not _formed(schema.get("format", ""), value):
        yield f"{path}: {value!r:.40} is no {schema['format']}"
    elif schema.get("enum") and value not in schema["enum"]:
        yield f"{path}: {value!r:.40} is none of {schema['enum']}"


def _object(api: str, schema: dict[str, Any], value: dict[str, Any], path: str) -> Any:
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, one in value.items():
        if name in known:
            yield from _value(api, known[name], one, f"{path}.{name}")
        elif others is not None:
            yield from _value(api, others, one, f"{path}.{name}")
        else:
            yield f"{path}.{name} is unknown"


def _formed(form: str, value: Any) -> bool:
    if form in ("int64", "uint64"):
        return re.fullmatch(r"\d+" if form == "uint64" else r"-?\d+", value) is not None
    if form in ("int32", "uint32"):
        return -(2**31) <= value < 2**32
    if form == "byte":
        return _base64(value)
    if form in ("date-time", "google-datetime"):
        return "T" in value and datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None
    return form != "date" or date.fromisoformat(value).isoformat() == value


def _base64(value: str) -> bool:
    try:
        base64.b64decode(
            value + "=" * (-len(value) % 4), altchars=b"-_" if re.search("[-_]", value) else None, validate=True
        )
    except ValueError:
        return False
    return True
