"""``dealtrail user`` and ``dealtrail key``: who may come in, and under which key the secrets lie."""

from __future__ import annotations

from typing import Any

from house import now, open_house
from models import user as people
from models.errors import NotFound
from models.resealing import reseal_all


def add_user(email: str, *, admin: bool, name: str) -> dict[str, Any]:
    """Invite somebody. Raises Invalid, Conflict."""
    house = open_house()
    with house.db.write() as session:
        user, token = people.add_user(session, email, role="admin" if admin else "rep", now=now(), name=name)
    return {"email": user.email, "role": user.role, "invitation": f"{house.settings.base_url}/invite/{token}"}


def create_key(email: str, name: str) -> str:
    """A new API key of a user's. Raises NotFound."""
    house = open_house()
    with house.db.write() as session:
        user = people.find_user(session, email)
        if user is None:
            raise NotFound(f"There is no user {email}. Add them first: dealtrail user add {email}")
        return people.create_key(session, user, now=now(), name=name)


def reseal() -> int:
    """Seal everything under the first key; how many secrets that were. Raises KeyringError when one of them opens with no
    key; then nothing is changed."""
    house = open_house()
    with house.db.write() as session:
        return reseal_all(session, house.keyring)
