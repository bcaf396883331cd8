"""docs/settings.md, written from ``settings.py``, the one place that knows them: ``python -m docs.settings_page``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from settings import PREFIX, Settings

HEAD = """# Settings

From the environment, or from a file `.env` beside where Dealtrail starts. A wrong value, or a name that is all but a
setting's, is refused at start with a sentence that says what it must be. Written by `make docs`; change `settings.py`.

| Setting | Default | What it is |
|---|---|---|
"""


def page() -> str:
    """The whole document."""
    return HEAD + "\n".join(_row(name, field) for name, field in Settings.model_fields.items()) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    text = (field.description or "").replace("|", "\\|")
    return f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {text}{_bounds(field)} |"


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "" if value in (None, "") else f"`{value}`"


def _bounds(field: FieldInfo) -> str:
    """What else it may be, as the type says it."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    said = [
        f"{word} {getattr(rule, key)}" for rule in field.metadata for key, word in words.items() if hasattr(rule, key)
    ]
    if get_origin(field.annotation) is Literal:
        said.append("one of " + ", ".join(f"`{choice}`" for choice in get_args(field.annotation)))
    return f" ({'; '.join(said)})" if said else ""


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page(), encoding="utf-8")
