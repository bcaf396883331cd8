"""A pretend Google and Microsoft over real HTTP: mailboxes, calendars, sign-in, quotas, faults. It imports no other room.

world = World()
world.mailbox("rae@acme.example").deliver(raw)
with serve(world) as server:
    ... DEALTRAIL_GOOGLE_API_ROOT = server.google_api_root ...

Microsoft's side is in sandbox/microsoft, as world.outlook(...) and world.microsoft.
"""

from sandbox.clock import Clock
from sandbox.server import Server
from sandbox.world import Knobs, World

__all__ = ["Clock", "Knobs", "Server", "World", "serve"]


def serve(world: World, *, host: str = "127.0.0.1", port: int = 0) -> Server:
    """A server on the world, running already. Raises OSError when the port is taken."""
    return Server(world, host=host, port=port)
