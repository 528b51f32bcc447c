"""What each Region's condemnation endpoint says, asked as Route 53's health checkers ask it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from standfast.region_ports import Voice

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 2.0
"""Route 53 waits four seconds for a connection and two for the answer (Developer Guide, health checks)."""
_GOOD = range(200, 400)


def ask(
    endpoints: Mapping[str, str], region: str, *, transport: httpx.AsyncBaseTransport | None = None
) -> dict[str, Voice]:
    """Vantage Region -> what it says of `region`. `endpoints` are the URLs of the endpoints; empty for one unnamed.

    All at once. Never raises. `transport` is httpx's own, for tests.
    """
    return asyncio.run(_ask(endpoints, region, transport))


async def _ask(
    endpoints: Mapping[str, str], region: str, transport: httpx.AsyncBaseTransport | None
) -> dict[str, Voice]:
    limits = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(
        timeout=limits, follow_redirects=False, trust_env=False, transport=transport
    ) as client:
        said = await asyncio.gather(*(_voice(client, url, region) for url in endpoints.values()))
    return dict(zip(endpoints, said, strict=True))


async def _voice(client: httpx.AsyncClient, url: str, region: str) -> Voice:
    if not url:
        return Voice.SILENT
    try:
        async with asyncio.timeout(CONNECT_SECONDS + ANSWER_SECONDS):
            answer = await client.get(f"{url.rstrip('/')}/condemned/{region}")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return Voice.SILENT
    return Voice.CONDEMNS if answer.status_code in _GOOD else Voice.ABSTAINS
