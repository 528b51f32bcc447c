"""Standfast's request journal for gateways: a client, and an ASGI middleware."""

from standfast_gateway.journal import RequestJournal
from standfast_gateway.middleware import JournalMiddleware
from standfast_gateway.settings import Settings, UnavailableError

__all__ = ["JournalMiddleware", "RequestJournal", "Settings", "UnavailableError"]
