"""The service asked again over HTTP: text as it comes, and what each way to fail means for the request."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from standfast.errors import InvalidInputError, StandfastError, ThrottledError, UnavailableError
from standfast.journal import CHAT, COMPLETIONS, Emitted
from standfast.probes.completer import HttpCompleter

STREAM = (
    'data: {"choices": [{"text": "Hel", "finish_reason": null}]}\n\n'
    'data: {"choices": [{"text": "lo", "finish_reason": "length"}]}\n\n'
    'data: {"choices": [], "usage": {}}\n\n'
    "data: [DONE]\n\n"
)
CHATTED = (
    'data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}\n\n'
    'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n'
    'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    "data: [DONE]\n\n"
)


def asked(answer: Any, path: str = COMPLETIONS, key: str | None = None) -> tuple[list[Emitted], list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        found: httpx.Response = answer
        return found

    async def run() -> list[Emitted]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answered)) as client:
            completer = HttpCompleter("http://entry.test/", client, api_key=key)
            async with aclosing(completer.stream(path, {"prompt": "q"})) as events:
                return [each async for each in events]

    return asyncio.run(run()), requests


def test_text_comes_event_by_event_and_last_how_it_ended() -> None:
    found, [request] = asked(httpx.Response(200, text=STREAM), key="k")
    assert found == [Emitted("Hel", 1), Emitted("lo", 1), Emitted(finish="length")]
    assert str(request.url) == "http://entry.test/v1/completions"
    assert request.headers["authorization"] == "Bearer k"
    assert json.loads(request.content) == {"prompt": "q"}


def test_a_chats_text_is_in_its_deltas() -> None:
    found, _ = asked(httpx.Response(200, text=CHATTED), CHAT)
    assert found == [Emitted("hi", 1), Emitted(finish="stop")]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (httpx.Response(400), InvalidInputError, "the service answered 400"),
        (httpx.Response(429), ThrottledError, "too busy"),
        (httpx.Response(503, headers={"retry-after": "5"}), ThrottledError, "too busy"),
        (httpx.Response(503), UnavailableError, "the service answered 503"),
        (httpx.Response(302), UnavailableError, "the service answered 302"),
        (httpx.Response(200, text=STREAM[:60]), UnavailableError, "the stream ended without"),
        (httpx.Response(200, text='data: {"error": {}}\n\n'), UnavailableError, "an error in the stream"),
        (httpx.Response(200, text="data: nonsense\n\n"), UnavailableError, "is no completion"),
        (httpx.ConnectError("refused"), UnavailableError, "no answer from http://entry.test: refused"),
    ],
)
def test_each_way_to_fail_is_known(answer: Any, error: type[StandfastError], words: str) -> None:
    with pytest.raises(error, match=words):
        asked(answer)
