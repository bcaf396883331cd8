"""Which requests on the sandbox's socket are for Microsoft, and who answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.microsoft.forms import GRAPH, LOGIN
from sandbox.microsoft.graph import Graph
from sandbox.microsoft.signin import signin
from sandbox.wire import Answer, Request

if TYPE_CHECKING:
    from sandbox.world import World

PREFIXES = (f"{GRAPH}/", f"{LOGIN}/")


def answer(world: World, request: Request) -> Answer:
    """Raises Refusal."""
    return Graph(world).answer(request) if request.path.startswith(GRAPH) else signin(world, request)
