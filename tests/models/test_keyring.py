"""Sealing, hashing, and the rotation of keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from models.db import Database
from models.keyring import Keyring, KeyringError, hasher, load_keys

OLD, NEW = "an old key, long enough", "a new key, long enough"


def test_what_is_sealed_opens_with_its_key_only() -> None:
    sealed = Keyring([OLD]).seal_json({"token": "secret"})
    assert b"secret" not in sealed
    assert Keyring([OLD]).open_json(sealed) == {"token": "secret"}
    with pytest.raises(KeyringError, match="Put the earlier key back"):
        Keyring([NEW]).open(sealed)


def test_a_new_key_in_front_reseals_what_the_old_one_sealed() -> None:
    sealed = Keyring([OLD]).seal(b"secret")
    both = Keyring([NEW, " ", OLD])
    assert both.open(sealed) == b"secret"
    moved = both.reseal(sealed)
    assert Keyring([NEW]).open(moved) == b"secret"
    with pytest.raises(KeyringError):
        Keyring([OLD]).open(moved)


@pytest.mark.parametrize("keys", [[], ["", " "], ["short"], [OLD, "short"]])
def test_no_key_or_a_short_one_is_refused(keys: list[str]) -> None:
    with pytest.raises(KeyringError):
        Keyring(keys)


def test_hashes_survive_a_rotation_and_differ_between_teams(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        first = hasher(session, keyring).digest("bea@northwind.example")
        rotated = Keyring([NEW, "a-key-for-tests-long-enough"])
        assert hasher(session, rotated).digest("bea@northwind.example") == first
        assert hasher(session, keyring).digest("bob@northwind.example") != first
        assert len(first) == 16 and hasher(session, keyring).digest("\ud800")


def test_a_key_is_made_once_for_the_embedded_house_and_nowhere_else(tmp_path: Path) -> None:
    made = load_keys("", None, tmp_path, generate=True)
    path = tmp_path / "secret.key"
    assert load_keys("", None, tmp_path, generate=True) == made == path.read_text().split()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_keys("a,b", None, tmp_path, generate=True) == ["a", "b"]
    with pytest.raises(KeyringError, match="does not exist"):
        load_keys("", None, tmp_path / "other", generate=False)
    with pytest.raises(KeyringError, match="does not exist"):
        load_keys("", tmp_path / "mine.key", tmp_path, generate=True)
    (tmp_path / "mine.key").write_text("one\ntwo\n")
    assert load_keys("", tmp_path / "mine.key", tmp_path, generate=False) == ["one", "two"]
