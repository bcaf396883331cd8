"""The JSON API under ``/api/v1``: bearer keys, cursor pages, problem details. Each module's router carries its whole prefix."""

from fastapi import APIRouter

router = APIRouter()
