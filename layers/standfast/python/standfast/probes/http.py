"""Prober over HTTP, for servers that speak OpenAI's completions."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

import httpx

from standfast.engine import UNREAD, EngineDescription, EngineMetrics
from standfast.health import EndpointProbe, Outcome
from standfast.probes import states
from standfast.probes.completions import BadAnswerError, Reading, WrongModelError, read_event
from standfast.probes.engines import ENGINES, read_metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from standfast.fleet import Canary

ANSWER_BYTES = 65_536
"""A canary's answer is a few hundred bytes. A server that streams more than this is not answering it."""
ANSWER_EVENTS = 64
"""An event holds a token at the least, and a canary asks for 16 at the most."""
LIKELY = 5
"""How many of the likeliest tokens are asked for, the most that OpenAI says: the golden one may come second."""
PAGE_BYTES = 4_194_304
STATE_BYTES = 524_288
"""A state page is a few kilobytes; llama.cpp's holds the chat template."""
METRICS_SECONDS = 1.5
"""As long as a canary has by default: the engine that is too busy for the one is too busy for the other."""
STATE_SECONDS = 3.0
"""SGLang's /health answers after a second at the least: it waits for a token."""
_OK = 200
_REFUSED_KEY = frozenset({401, 403})


SHED_HEADER = "x-standfast-shed"
"""Set by the entry's own function that sheds overload: an engine's 503 is something else."""
_PLAIN = {"accept-encoding": "identity"}
"""So that the bytes that are counted are the bytes that are read: nothing unfolds to more."""

_NO_PAGE = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, BadAnswerError)


class HttpProber:
    """Asks replicas directly or through an entry. One connection a probe: that it is accepted is part of the proof.

    `api_key` is sent with every request, and to nobody else: redirects are not followed.
    """

    def __init__(self, engine: str, client: httpx.AsyncClient | None = None, *, api_key: str | None = None) -> None:
        self._name = engine
        self._engine = ENGINES[engine]
        self._client = client or httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=0), follow_redirects=False, trust_env=False
        )
        self._key = {"authorization": f"Bearer {api_key}"} if api_key else {}

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def ask(
        self,
        url: str,
        model: str,
        canary: Canary,
        *,
        headers: Mapping[str, str] | None = None,
        progress: bool = False,
        logprobs: bool = False,
        nonce: str | None = None,
    ) -> EndpointProbe:
        """One canary. Never raises: what goes wrong is the outcome.

        With `logprobs`, or a fixed `nonce`, every token must have a finite logprob. Where an engine is not known to say
        them they are demanded with a nonce only.
        """
        beside = asyncio.create_task(self._metrics(url)) if progress else None
        started_at, began = time.time(), time.perf_counter()
        demanded = nonce is not None or (logprobs and self._engine.says_logprobs)
        reading, detail = Reading(), ""
        try:
            async with asyncio.timeout(canary.deadline_seconds):
                await self._complete(url, model, self._body(model, canary, nonce, demanded), headers or {}, reading)
            outcome, detail = _judged(reading, canary, demanded=demanded)
        except (TimeoutError, httpx.TimeoutException):
            outcome, detail = Outcome.TIMED_OUT, f"{canary.deadline_seconds:g} s"
        except httpx.ConnectError:
            outcome = Outcome.REFUSED
        except httpx.HTTPStatusError as error:
            outcome, detail = _refused(error.response)
        except WrongModelError as error:
            outcome, detail = Outcome.WRONG_MODEL, str(error)
        except (BadAnswerError, httpx.HTTPError, httpx.InvalidURL) as error:
            outcome, detail = Outcome.BAD_ANSWER, str(error) or type(error).__name__
        whole = outcome in _WHOLE
        return EndpointProbe(
            started_at=started_at,
            ended_at=started_at + (time.perf_counter() - began),
            outcome=outcome,
            detail=detail,
            first_token_seconds=reading.first_at if whole else None,
            progress=(await beside).progress if beside else None,
            first_token=reading.first.text if whole and reading.first else None,
            first_logprob=reading.first.logprob if whole and reading.first else None,
            first_likely=reading.first.likely if whole and reading.first else (),
            between_tokens_seconds=reading.between_tokens_seconds if whole else None,
        )

    async def in_flight(self, url: str) -> int | None:
        """Requests running or queued; 0 when nothing listens: a process that is gone holds none. None: not said."""
        try:
            return (await self._read_metrics(url)).in_flight
        except httpx.ConnectError:
            return 0
        except _NO_PAGE:
            return None

    async def describe(self, url: str) -> EngineDescription:
        """What the engine says of itself. Never raises: what goes wrong is an unknown state with its reason."""
        wanted = states.paths(self._name)
        asked = asyncio.gather(*(self._state_page(url, path) for path in wanted))
        metrics, pages = await asyncio.gather(self._metrics(url), asked)
        return states.describe(self._name, dict(zip(wanted, pages, strict=True)), metrics)

    def _body(self, model: str, canary: Canary, nonce: str | None, logprobs: bool) -> dict[str, object]:
        # The nonce is there so that no prefix cache answers for it.
        body: dict[str, object] = {
            "model": self._engine.called or model,
            "prompt": f"[{nonce or secrets.token_hex(2)}] {canary.prompt}",
            "max_tokens": canary.max_tokens,
            "temperature": 0,
            "stream": True,
        }
        return {**body, "logprobs": LIKELY} if logprobs else body

    async def _complete(
        self, url: str, model: str, body: Mapping[str, object], headers: Mapping[str, str], reading: Reading
    ) -> None:
        """Stream one completion to its end."""
        began = time.perf_counter()
        async with self._client.stream(
            "POST", f"{url}/v1/completions", json=body, headers={**headers, **_PLAIN, **self._key}
        ) as response:
            if response.status_code != _OK:
                raise httpx.HTTPStatusError("not 200", request=response.request, response=response)
            async for line in _lines(response):
                if line == "data: [DONE]":
                    break
                if line.startswith("data: "):
                    reading.add(read_event(line.removeprefix("data: "), model), time.perf_counter() - began)
                    if reading.events > ANSWER_EVENTS:
                        raise BadAnswerError(f"more than {ANSWER_EVENTS} events for a canary")
            else:
                said = "no event stream" if reading.first_at is None else "the stream ended without [DONE]"
                raise BadAnswerError(said)
        if reading.first_at is None:
            raise BadAnswerError("the stream held no token")

    async def _metrics(self, url: str) -> EngineMetrics:
        """What the metrics page says; nothing when there is none."""
        try:
            return await self._read_metrics(url)
        except _NO_PAGE:
            return UNREAD

    async def _read_metrics(self, url: str) -> EngineMetrics:
        if not self._engine.has_metrics:
            return UNREAD
        async with asyncio.timeout(METRICS_SECONDS):
            page = await self._page(f"{url}/metrics", PAGE_BYTES)
        if page.status != _OK:
            raise BadAnswerError(f"status {page.status}")
        return read_metrics(self._engine, page.body.decode("utf-8", "replace"))

    async def _state_page(self, url: str, path: str) -> states.Page:
        try:
            async with asyncio.timeout(STATE_SECONDS):
                return await self._page(url + path, STATE_BYTES)
        except (TimeoutError, httpx.TimeoutException):
            return states.Page(problem=f"no whole answer in {STATE_SECONDS:g} s")
        except httpx.ConnectError:
            return states.Page(problem="connection refused")
        except _NO_PAGE as error:
            return states.Page(problem=str(error) or type(error).__name__)

    async def _page(self, url: str, limit: int) -> states.Page:
        """One page. Raises httpx errors, and BadAnswerError past `limit` bytes."""
        async with self._client.stream("GET", url, headers={**_PLAIN, **self._key}) as response:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > limit:
                    raise BadAnswerError(f"more than {limit} bytes")
        return states.Page(response.status_code, bytes(body))


_WHOLE = frozenset({Outcome.ANSWERED, Outcome.SLOW, Outcome.NONSENSE})


def _judged(reading: Reading, canary: Canary, *, demanded: bool) -> tuple[Outcome, str]:
    """How a completion ended that came whole."""
    if demanded and reading.first is None:
        return Outcome.NONSENSE, "no token"
    if demanded and reading.insane:
        return Outcome.NONSENSE, "a token without a finite logprob"
    late = reading.first_at is None or reading.first_at > canary.first_token_seconds
    return (Outcome.SLOW if late else Outcome.ANSWERED), ""


def _refused(response: httpx.Response) -> tuple[Outcome, str]:
    """What an error status means."""
    if SHED_HEADER in response.headers:
        return Outcome.SHED, ""
    status = str(response.status_code)
    return (Outcome.DENIED if response.status_code in _REFUSED_KEY else Outcome.BAD_STATUS), status


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of a stream as they come. Raises BadAnswerError past ANSWER_BYTES, also when no line ever ends."""
    read, rest = 0, b""
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > ANSWER_BYTES:
            raise BadAnswerError(f"more than {ANSWER_BYTES} bytes for a canary")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest.decode("utf-8", "replace")
