"""`python -m sandbox`: the pretend Google and Microsoft in a process of its own.

The first line on standard output is JSON: Google's side as {"api_root", "oauth_root", "accounts": [{"email",
"refresh_token", "name"}]}, Microsoft's as {"graph_root", "login_root", "outlook_accounts": [the same]}, and with --mail also
{"mails", "malformed"}: how many were loaded, and how many of these are malformed. More accounts of Microsoft's are made
through /_sandbox/microsoft/user.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Any

from sandbox import Server, World, serve
from sandbox.loaders import UnreadableMail, load


def main(given: list[str] | None = None) -> int:
    """Exit status 0 after a clean end, 2 for input that cannot be served (a sentence on standard error says why)."""
    options = _options(given)
    world = World()
    deals, loaded = [], {}
    try:
        if options.mail:
            loaded = load(world.mailbox(options.me), Path(options.mail))._asdict()
        elif options.team:
            from sandbox.team import build

            deals = build(world, seed=options.seed)
        server = serve(world, port=options.port)
    except UnreadableMail as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"Port {options.port} cannot be used: {error.strerror}. Choose another with --port.\n")
        return 2
    sys.stdout.write(json.dumps(_told(world, server) | loaded) + "\n")
    sys.stdout.flush()
    stop = threading.Event()
    if options.live_seconds and deals:
        from sandbox.team import Live

        live = Live(world, deals)
        threading.Thread(target=_go_on, args=(live, options.live_seconds, stop), daemon=True).start()
    try:
        if options.until_stdin_closes:
            sys.stdin.read()
        else:
            stop.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop.set()
        server.close()
    return 0


def _told(world: World, server: Server) -> dict[str, Any]:
    """Where both sides are, and who has an account there."""
    google = {"api_root": server.google_api_root, "oauth_root": server.google_oauth_root}
    microsoft = {"graph_root": server.microsoft_graph_root, "login_root": server.microsoft_login_root}
    people = {"accounts": world.accounts(), "outlook_accounts": world.microsoft.accounts()}
    return google | microsoft | people


def _options(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A pretend Google and Microsoft on this machine."
    )
    parser.add_argument("--port", type=int, default=8330, help="0 picks a free one")
    parser.add_argument("--team", choices=["demo"], help="fill it with the invented team")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mail", help="an mbox file, a Maildir or a folder of .eml files")
    parser.add_argument("--me", default="me@example.com", help="whose mail that is")
    parser.add_argument("--live-seconds", type=float, default=0.0, help="a new mail of the team every so many seconds")
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser.parse_args(given)


def _go_on(live: object, seconds: float, stop: threading.Event) -> None:
    while not stop.wait(seconds):
        live.step()  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main())
