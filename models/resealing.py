"""After a rotation of keys: every stored secret sealed anew under the first key, so that the old one can go."""

from typing import Any

from sqlmodel import Session, SQLModel, select

from models.account import Account
from models.channel import Channel
from models.idempotency import IdempotentAnswer
from models.keyring import HASH_KEY, Keyring
from models.service_key import ServiceKey
from models.setting import TeamSetting
from models.webhook import Webhook

SEALED: tuple[tuple[type[SQLModel], str], ...] = (
    (Account, "sealed_grant"),
    (Channel, "sealed_grant"),
    (ServiceKey, "sealed_key"),
    (Webhook, "sealed_secret"),
    (IdempotentAnswer, "body"),
)
"""Each column that holds what the keyring sealed, as bytes or as the same in text; empty: nothing. The hash key, a row among
the settings, is sealed too."""


def reseal_all(session: Session, keyring: Keyring) -> int:
    """How many secrets were sealed anew. Each row is locked as it is read, lest a grant that is renewed meanwhile be put
    back. Raises KeyringError when one of them opens with no key; roll back then."""
    rows: list[tuple[Any, str]] = []
    for model, name in SEALED:
        rows += [(row, name) for row in session.exec(select(model).with_for_update())]
    rows += [(row, "value") for row in session.exec(_hash_key().with_for_update())]
    held = [(row, name) for row, name in rows if getattr(row, name)]
    for row, name in held:
        setattr(row, name, _again(keyring, getattr(row, name)))
        session.add(row)
    return len(held)


def _hash_key() -> Any:
    return select(TeamSetting).where(TeamSetting.name == HASH_KEY)


def _again(keyring: Keyring, sealed: bytes | str) -> bytes | str:
    return keyring.reseal(sealed) if isinstance(sealed, bytes) else keyring.reseal(sealed.encode()).decode()
