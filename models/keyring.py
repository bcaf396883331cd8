"""Sealing secrets and hashing what must be recognised but not read.

Keys are any text; the first seals, all open (rotation). Fernet as in the cryptography library's MultiFernet; keys are
derived with HKDF-SHA256 (RFC 5869). Hashes are keyed BLAKE2b (RFC 7693) of 16 bytes, under a key of their own that lives
sealed in the database, so that rotating the sealing keys does not orphan them.
"""

import base64
import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlmodel import Session

from models.setting import TeamSetting

HASH_KEY = "hash_key"
"""The name among the team's settings under which the key of the hashes lies, sealed."""


class KeyringError(Exception):
    """A key is missing or wrong; the text says what to do."""


class Keyring:
    """Seals and opens small secrets."""

    def __init__(self, keys: list[str]) -> None:
        keys = [key.strip() for key in keys if key.strip()]
        if not keys:
            raise KeyringError("No secret key. Set DEALTRAIL_SECRET_KEY to a long random text and keep it safe.")
        for key in keys:
            if len(key) < 16:
                raise KeyringError(
                    "DEALTRAIL_SECRET_KEY is too short; use at least 16 characters (openssl rand -hex 32)."
                )
        self._fernet = MultiFernet([_fernet(key) for key in keys])

    def seal(self, value: bytes) -> bytes:
        return self._fernet.encrypt(value)

    def open(self, sealed: bytes) -> bytes:
        """Raises KeyringError when no key fits."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise KeyringError(
                "A stored secret cannot be opened with the present keys. Put the earlier key back behind the new one in "
                "DEALTRAIL_SECRET_KEY (comma-separated)."
            ) from None

    def reseal(self, sealed: bytes) -> bytes:
        """The same secret under the first key. Raises KeyringError."""
        return self.seal(self.open(sealed))

    def seal_json(self, value: Any) -> bytes:
        return self.seal(json.dumps(value).encode())

    def open_json(self, sealed: bytes) -> Any:
        return json.loads(self.open(sealed))


class Hasher:
    """Keyed hashes: equal inputs give equal hashes, and nobody without the key can tell the input."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, text: str) -> bytes:
        """16 bytes."""
        return hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key, digest_size=16).digest()


def hasher(session: Session, keyring: Keyring) -> Hasher:
    """The team's hasher; its key is made on first use (inside a write transaction)."""
    row = session.get(TeamSetting, HASH_KEY)
    if row is None:
        row = TeamSetting(name=HASH_KEY, value=keyring.seal(secrets.token_bytes(32)).decode())
        session.add(row)
        session.flush()
    return Hasher(keyring.open(row.value.encode()))


def load_keys(given: str, key_file: Path | None, data_dir: Path, *, generate: bool) -> list[str]:
    """The keys from the setting, else from the file, else (embedded default) from a file generated once under
    ``data_dir`` with mode 600. Raises KeyringError."""
    if given:
        return given.split(",")
    path = key_file or data_dir / "secret.key"
    try:
        if path.exists():
            return path.read_text(encoding="utf-8").split()
        if generate and key_file is None:
            return _generate(path)
    except UnicodeDecodeError:
        raise KeyringError(f"{path} holds no text. Write one key a line in it (openssl rand -hex 32).") from None
    except OSError as error:
        raise KeyringError(
            f"The secret key cannot be kept in {path}: {error.strerror}. See DEALTRAIL_DATA_DIR."
        ) from error
    raise KeyringError(f"No secret key: {path} does not exist. Set DEALTRAIL_SECRET_KEY, or create that file.")


def _generate(path: Path) -> list[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(secrets.token_urlsafe(48) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return path.read_text(encoding="utf-8").split()


def _fernet(key: str) -> Fernet:
    derive = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"dealtrail sealing")
    return Fernet(base64.urlsafe_b64encode(derive.derive(key.encode())))
