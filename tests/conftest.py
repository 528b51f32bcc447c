"""For all tests: no property is held against the clock, because machines differ."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("standfast", deadline=None)
settings.load_profile("standfast")
