"""Prober over HTTP, for servers that speak OpenAI's completions (vLLM, llama.cpp)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx

from standfast.engine import UNREAD, EngineMetrics
from standfast.health import EndpointProbe, Outcome
from standfast.probes.engines import ENGINES, read_metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from standfast.fleet import Canary

ANSWER_BYTES = 65_536
"""A canary's answer is a few hundred bytes. A server that streams more than this is not answering it."""
PAGE_BYTES = 4_194_304
METRICS_SECONDS = 1.0
_OK = 200


SHED_HEADER = "x-standfast-shed"
"""Set by the entry's own function that sheds overload: an engine's 503 is something else."""


class _BadAnswerError(Exception):
    """The stream is no completion. The message says what is wrong with it."""


_NO_PAGE = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, _BadAnswerError)


class HttpProber:
    """Asks replicas directly or through an entry. One connection a probe: that it is accepted is part of the proof."""

    def __init__(self, engine: str, client: httpx.AsyncClient | None = None) -> None:
        self._engine = ENGINES[engine]
        self._client = client or httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=0), follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def ask(
        self, url: str, model: str, canary: Canary, *, headers: Mapping[str, str] | None = None, progress: bool = False
    ) -> EndpointProbe:
        """One canary. Never raises: what goes wrong is the outcome."""
        beside = asyncio.create_task(self._metrics(url)) if progress else None
        started_at, began = time.time(), time.perf_counter()
        first_token: float | None = None
        detail = ""
        try:
            async with asyncio.timeout(canary.deadline_seconds):
                first_token = await self._complete(url, model, canary, headers or {}, began)
            outcome = Outcome.ANSWERED if first_token <= canary.first_token_seconds else Outcome.SLOW
        except (TimeoutError, httpx.TimeoutException):
            outcome, detail = Outcome.TIMED_OUT, f"{canary.deadline_seconds:g} s"
        except httpx.ConnectError:
            outcome = Outcome.REFUSED
        except httpx.HTTPStatusError as error:
            shed = SHED_HEADER in error.response.headers
            outcome = Outcome.SHED if shed else Outcome.BAD_STATUS
            detail = "" if shed else str(error.response.status_code)
        except _WrongModelError as error:
            outcome, detail = Outcome.WRONG_MODEL, str(error)
        except (_BadAnswerError, httpx.HTTPError, httpx.InvalidURL) as error:
            outcome, detail = Outcome.BAD_ANSWER, str(error) or type(error).__name__
        return EndpointProbe(
            started_at=started_at,
            ended_at=started_at + (time.perf_counter() - began),
            outcome=outcome,
            detail=detail,
            first_token_seconds=first_token,
            progress=(await beside).progress if beside else None,
        )

    async def in_flight(self, url: str) -> int | None:
        """Requests running or queued; 0 when nothing listens: a process that is gone holds none. None: not said."""
        try:
            return (await self._read_metrics(url)).in_flight
        except httpx.ConnectError:
            return 0
        except _NO_PAGE:
            return None

    async def _complete(self, url: str, model: str, canary: Canary, headers: Mapping[str, str], began: float) -> float:
        """Stream one completion to its end. Returns the seconds to the first token."""
        body = {
            "model": model,
            "prompt": f"[{secrets.token_hex(2)}] {canary.prompt}",  # a nonce, so that no prefix cache answers for it
            "max_tokens": canary.max_tokens,
            "temperature": 0,
            "stream": True,
        }
        first_token: float | None = None
        async with self._client.stream(
            "POST", f"{url}/v1/completions", json=body, headers=dict(headers), timeout=canary.deadline_seconds
        ) as response:
            if response.status_code != _OK:
                raise httpx.HTTPStatusError("not 200", request=response.request, response=response)
            async for line in _lines(response):
                if line == "data: [DONE]":
                    break
                if line.startswith("data: "):
                    _check(line.removeprefix("data: "), model)
                    first_token = first_token or time.perf_counter() - began
            else:
                raise _BadAnswerError("the stream ended without [DONE]" if first_token else "no event stream")
        if first_token is None:
            raise _BadAnswerError("the stream held no token")
        return first_token

    async def _metrics(self, url: str) -> EngineMetrics:
        """What the metrics page says; nothing when there is none."""
        try:
            return await self._read_metrics(url)
        except _NO_PAGE:
            return UNREAD

    async def _read_metrics(self, url: str) -> EngineMetrics:
        return read_metrics(self._engine, await self._page(url)) if self._engine.has_metrics else UNREAD

    async def _page(self, url: str) -> str:
        """The metrics page. Raises httpx errors, TimeoutError, _BadAnswerError when it is no such page."""
        async with (
            asyncio.timeout(METRICS_SECONDS),
            self._client.stream("GET", f"{url}/metrics", timeout=METRICS_SECONDS) as response,
        ):
            if response.status_code != _OK:
                raise _BadAnswerError(f"status {response.status_code}")
            page = bytearray()
            async for chunk in response.aiter_bytes():
                page += chunk
                if len(page) > PAGE_BYTES:
                    raise _BadAnswerError(f"more than {PAGE_BYTES} bytes of metrics")
        return page.decode("utf-8", "replace")


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of a stream as they come. Raises _BadAnswerError past ANSWER_BYTES, also when no line ever ends."""
    read, rest = 0, b""
    async for chunk in response.aiter_bytes():
        read += len(chunk)
        if read > ANSWER_BYTES:
            raise _BadAnswerError(f"more than {ANSWER_BYTES} bytes for a canary")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace")


class _WrongModelError(Exception):
    """Another model answered. The message is its name."""


def _check(data: str, model: str) -> None:
    """Raise unless the event is a completion's, by the expected model."""
    try:
        event: Any = json.loads(data)
        text = event["choices"][0]["text"]
        answered = event.get("model", model)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _BadAnswerError(f"an event that is no completion: {data[:80]!r}") from error
    if not isinstance(text, str):
        raise _BadAnswerError("a completion without text")
    if answered != model:
        raise _WrongModelError(str(answered)[:80])
