"""Completer over HTTP: the service asked again for a request that was accepted before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from standfast.errors import InvalidInputError, ThrottledError, UnavailableError
from standfast.journal import Emitted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

_TIMES = httpx.Timeout(60.0, connect=3.0)
"""A long prompt's first token may take its time; a stream that hangs longer is given back."""
_OK, _REFUSED, _BUSY, _SERVER_ERROR, _SHED = 200, 400, 429, 500, 503


class HttpCompleter:
    """Through the Region's entry, as users come. `api_key` is sent to it and to nobody else."""

    def __init__(self, url: str, client: httpx.AsyncClient | None = None, *, api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._client = client or httpx.AsyncClient(timeout=_TIMES, follow_redirects=False, trust_env=False)
        self._key = {"authorization": f"Bearer {api_key}"} if api_key else {}

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Emitted, None]:
        finish = ""
        try:
            async with self._client.stream("POST", self._url + path, json=dict(body), headers=self._key) as response:
                _check(response)
                async for line in response.aiter_lines():
                    if line == "data: [DONE]":
                        break
                    if not line.startswith("data: "):
                        continue
                    piece = _event(line.removeprefix("data: "))
                    finish = piece.finish or finish
                    if piece.text:
                        yield Emitted(piece.text, 1)
                else:
                    raise UnavailableError("the stream ended without [DONE]")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnavailableError(f"no answer from {self._url}: {error or type(error).__name__}") from error
        yield Emitted(finish=finish or "stop")


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status == _BUSY or (status == _SHED and "retry-after" in response.headers):
        raise ThrottledError(f"the service is too busy ({status})")
    if _REFUSED <= status < _SERVER_ERROR:
        raise InvalidInputError(f"the service answered {status}")
    if status != _OK:
        raise UnavailableError(f"the service answered {status}")


def _event(data: str) -> Emitted:
    """One event: of a completion or of a chat. Usage alone is an event without text."""
    try:
        event: Any = json.loads(data)
        if "error" in event:
            raise UnavailableError("the engine sent an error in the stream")
        choices = event["choices"]
        if not choices:
            return Emitted()
        text = choices[0]["text"] if "text" in choices[0] else (choices[0].get("delta") or {}).get("content")
        return Emitted(str(text or ""), 1, str(choices[0].get("finish_reason") or ""))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UnavailableError("an event of the stream is no completion") from error
