"""The door."""

from fastapi import Request


def path_to_door(request: Request) -> str:
    """Where somebody who is not signed in goes."""
    return "/sign-in"
