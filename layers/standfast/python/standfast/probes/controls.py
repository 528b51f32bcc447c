"""Controls over HTTP: whether anything out there answers."""

from __future__ import annotations

import asyncio

import httpx

SECONDS = 1.5
"""As long as a canary has by default: what a vantage point does not reach in that time it does not see."""


class HttpControls:
    """Asks other Regions' endpoints. Their 404 is an answer: who hears it is not blind."""

    def __init__(self, client: httpx.AsyncClient | None = None) -> None:
        self._client = client or httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=0), follow_redirects=False, trust_env=False
        )

    async def answers(self, url: str) -> bool:
        """Whether somebody answers, whatever it says. Never raises."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._client.get(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return False
        return True
