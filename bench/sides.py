"""The two pretend providers in one shape, for the benches that measure the same of both: where they are, who has a mailbox there,
how it is filled, and what they count. Figures of Microsoft's are told with ``_outlook`` after the part's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sandbox
from bench.ground import NO_LIMIT, PEOPLE, REP, Place, Pretend, place
from sandbox.bulk import fill
from sandbox.microsoft.filling import labelled


@dataclass(frozen=True)
class Side:
    """One provider. ``suffix`` of its figures' names; ``token_call``: the operation that gives access tokens; ``settings``: no
    limit where the limit is not what is measured."""

    provider: str
    suffix: str
    token_call: str
    settings: dict[str, Any]

    def fill(self, world: sandbox.World, messages: int, relevant: float) -> None:
        raise NotImplementedError

    def message_ids(self, world: sandbox.World) -> set[str]:
        """Of everything in the rep's mailbox."""
        raise NotImplementedError

    def forget_access(self, world: sandbox.World) -> None:
        """Access tokens end, at the provider alone."""
        raise NotImplementedError

    def newest_refresh_token(self, world: sandbox.World) -> str:
        """That was given out."""
        raise NotImplementedError

    def reach(self, world: sandbox.World, server: sandbox.Server) -> tuple[str, str, str]:
        """(root of the interface, root of the sign-in, a refresh token of the rep's)."""
        raise NotImplementedError

    def far_reach(self, far: Pretend, email: str) -> tuple[str, str, str]:
        """The same in another process."""
        raise NotImplementedError

    def far_fill(self, far: Pretend, email: str, messages: int, relevant: float, **more: Any) -> None:
        given = {"email": email, "count": messages, "relevant_share": relevant, "people": PEOPLE}
        far.tell(f"{self._verbs}fill", **given, **more)

    @property
    def _verbs(self) -> str:
        return ""


class GoogleSide(Side):
    def fill(self, world: sandbox.World, messages: int, relevant: float) -> None:
        fill(world.mailbox(REP), messages, relevant_share=relevant, people=PEOPLE)

    def message_ids(self, world: sandbox.World) -> set[str]:
        return set(world.mailbox(REP).messages)

    def forget_access(self, world: sandbox.World) -> None:
        world.grants.forget_access()

    def newest_refresh_token(self, world: sandbox.World) -> str:
        return list(world.grants.by_refresh)[-1]

    def reach(self, world: sandbox.World, server: sandbox.Server) -> tuple[str, str, str]:
        world.mailbox(REP)
        return server.google_api_root, server.google_oauth_root, world.refresh_token(REP)

    def far_reach(self, far: Pretend, email: str) -> tuple[str, str, str]:
        return far.api_root, far.oauth_root, far.refresh_token(email)


class MicrosoftSide(Side):
    def fill(self, world: sandbox.World, messages: int, relevant: float) -> None:
        fill(labelled(world.outlook(REP)), messages, relevant_share=relevant, people=PEOPLE)

    def message_ids(self, world: sandbox.World) -> set[str]:
        return set(world.outlook(REP).items)

    def forget_access(self, world: sandbox.World) -> None:
        world.microsoft.entra.forget_access()

    def newest_refresh_token(self, world: sandbox.World) -> str:
        return list(world.microsoft.entra.by_refresh)[-1]

    def reach(self, world: sandbox.World, server: sandbox.Server) -> tuple[str, str, str]:
        world.outlook(REP)
        world.microsoft.knobs.requests_per_window = None
        return server.microsoft_graph_root, server.microsoft_login_root, world.microsoft_refresh_token(REP)

    def far_reach(self, far: Pretend, email: str) -> tuple[str, str, str]:
        return far.graph_root, far.login_root, far.outlook_refresh_token(email)

    def far_fill(self, far: Pretend, email: str, messages: int, relevant: float, **more: Any) -> None:
        far.tell("microsoft/knobs", requests_per_window=None)
        far.tell("microsoft/user", email=email)
        super().far_fill(far, email, messages, relevant, **more)

    @property
    def _verbs(self) -> str:
        return "microsoft/"


GOOGLE = GoogleSide("google", "", "oauth.token", {})
MICROSOFT = MicrosoftSide("microsoft", "_outlook", "entra.token", {"outlook_requests_per_minute": NO_LIMIT})


@contextmanager
def beside(side: Side, world: sandbox.World, **settings: Any) -> Iterator[Place]:
    """A house with the rep's mailbox at that provider, which is in this process; not yet synced."""
    with (
        sandbox.serve(world) as server,
        place(*side.reach(world, server), provider=side.provider, **(side.settings | settings)) as here,
    ):
        yield here


def far_from(side: Side, far: Pretend, email: str) -> Any:
    """The same with the provider in a process of its own."""
    return place(*side.far_reach(far, email), provider=side.provider, **side.settings)
