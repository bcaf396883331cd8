"""docs/trust.md names a test for each of the twenty-five; every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/trust.md").read_text(encoding="utf-8")


def _defined(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_of_the_twenty_five_has_a_test_that_exists() -> None:
    parts = re.split(r"^(\d+)\. ", PAGE, flags=re.M)[1:]
    told = dict(zip(map(int, parts[::2]), parts[1::2], strict=True))
    assert sorted(told) == list(range(1, 26))
    for number, text in told.items():
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
        assert named, f"{number} has no test"
        for path, name in named:
            assert (ROOT / path).is_file(), path
            assert not name or name in _defined(ROOT / path), f"{path}::{name}"
