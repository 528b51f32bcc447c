"""The prober against real sockets on loopback: each way in which a server can answer, or not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from standfast.fleet import Canary
from standfast.health import EndpointProbe, Outcome
from standfast.probes.http import ANSWER_BYTES, ANSWER_EVENTS, METRICS_SECONDS, HttpProber

MODEL = "tiny"
CANARY = Canary(first_token_seconds=1.5, deadline_seconds=2.0)
"""Patient: what is not about deadlines meets none on a machine that is busy."""
IMPATIENT = Canary(first_token_seconds=0.2, deadline_seconds=0.5)
EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"
METRICS = "llamacpp:n_decode_total 42\nllamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n"


class Request:
    """What came, and where the answer goes."""

    def __init__(self, head: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.body = body
        self._writer = writer

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


Answer = Callable[[Request], Awaitable[None]]


def event(text: str = "Paris", model: str = MODEL) -> bytes:
    return b"data: " + json.dumps({"model": model, "choices": [{"text": text}]}).encode() + b"\n\n"


def page(status: str, body: str, kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    return (head + body).encode()


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A server that answers each request by a script and closes. Yields its URL."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [line for line in head.lower().splitlines() if line.startswith("content-length:")]
            body = await reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
            await answer(Request(head, body, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def ask(answer: Answer, *, canary: Canary = CANARY, progress: bool = False, path: str = "") -> EndpointProbe:
    """One canary asked of a server that answers by a script."""

    async def asked() -> EndpointProbe:
        prober = HttpProber("llama.cpp")
        async with serving(answer) as url:
            probe = await prober.ask(url + path, MODEL, canary, headers={"x-standfast-probe": "a"}, progress=progress)
        await prober.close()
        return probe

    return asyncio.run(asked())


def in_flight(answer: Answer) -> int | None:
    async def asked() -> int | None:
        prober = HttpProber("llama.cpp")
        async with serving(answer) as url:
            count = await prober.in_flight(url)
        await prober.close()
        return count

    return asyncio.run(asked())


def sends(*parts: bytes | float) -> Answer:
    """Send bytes, wait seconds, and so on."""

    async def answer(request: Request) -> None:
        for part in parts:
            if isinstance(part, bytes):
                await request.send(part)
            else:
                await asyncio.sleep(part)

    return answer


def test_an_answer_in_time_is_answered() -> None:
    before = time.time()
    probe = ask(sends(EVENT_STREAM, event("Paris"), event(""), DONE))
    assert (probe.outcome, probe.detail, probe.progress) == (Outcome.ANSWERED, "", None)
    assert probe.first_token_seconds is not None
    assert 0 < probe.first_token_seconds <= CANARY.first_token_seconds
    assert before <= probe.started_at <= probe.ended_at <= time.time() + 1


def test_the_canary_is_a_greedy_streaming_completion_with_a_nonce() -> None:
    seen: list[Request] = []

    async def answer(request: Request) -> None:
        seen.append(request)
        await request.send(EVENT_STREAM + event() + DONE)

    ask(answer)
    ask(answer)
    assert seen[0].head.startswith("POST /v1/completions HTTP/1.1")
    assert "x-standfast-probe: a" in seen[0].head.lower()
    bodies = [json.loads(request.body) for request in seen]
    assert {key: bodies[0][key] for key in ("model", "max_tokens", "temperature", "stream")} == {
        "model": MODEL,
        "max_tokens": CANARY.max_tokens,
        "temperature": 0,
        "stream": True,
    }
    assert all(body["prompt"].endswith("] " + CANARY.prompt) for body in bodies)


def test_a_late_first_token_is_slow() -> None:
    late = Canary(first_token_seconds=0.2, deadline_seconds=2.0)
    probe = ask(sends(EVENT_STREAM, 0.25, event(), DONE), canary=late)
    assert probe.outcome is Outcome.SLOW
    assert probe.first_token_seconds is not None
    assert probe.first_token_seconds >= 0.25


def test_a_port_where_nobody_listens_is_refused() -> None:
    async def asked() -> EndpointProbe:
        async with serving(sends()) as url:
            pass
        return await HttpProber("llama.cpp").ask(url, MODEL, CANARY, progress=True)

    probe = asyncio.run(asked())
    assert (probe.outcome, probe.first_token_seconds, probe.progress) == (Outcome.REFUSED, None, None)


@pytest.mark.parametrize(
    "answer",
    [
        sends(30.0),
        sends(EVENT_STREAM, 30.0),
        sends(EVENT_STREAM, event(), 30.0),
        sends(EVENT_STREAM, *[part for _ in range(600) for part in (b": still here\n\n", 0.05)]),
    ],
    ids=["never answers", "no token", "stops half way", "keeps alive"],
)
def test_the_deadline_ends_a_probe_whatever_is_still_coming(answer: Answer) -> None:
    probe = ask(answer, canary=IMPATIENT)
    assert (probe.outcome, probe.detail) == (Outcome.TIMED_OUT, "0.5 s")
    assert 0.45 <= probe.ended_at - probe.started_at <= 10  # not the 30 s, nor for as long as it is kept alive


def test_a_server_that_does_not_accept_is_timed_out() -> None:
    """A stopped process: the kernel completes the handshake, nobody reads."""

    async def asked() -> EndpointProbe:
        async def stopped(request: Request) -> None:
            await asyncio.sleep(30)

        async with serving(stopped) as url:
            return await HttpProber("llama.cpp").ask(url, MODEL, IMPATIENT, progress=True)

    probe = asyncio.run(asked())
    assert (probe.outcome, probe.progress) == (Outcome.TIMED_OUT, None)


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests", "404 Not Found", "500 No"])
def test_an_error_status_is_said(status: str) -> None:
    probe = ask(sends(page(status, "no")))
    assert (probe.outcome, probe.detail) == (Outcome.BAD_STATUS, status[:3])


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_key_that_is_refused_is_told_from_an_engine_that_is_ill(status: str) -> None:
    probe = ask(sends(page(status, "no")))
    assert (probe.outcome, probe.detail) == (Outcome.DENIED, status[:3])


def test_what_the_entry_sheds_is_told_from_an_engines_own_refusal() -> None:
    head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    assert ask(sends(head + b"X-Standfast-Shed: true\r\n\r\n")).outcome is Outcome.SHED
    assert ask(sends(head + b"\r\n")).outcome is Outcome.BAD_STATUS


def test_a_redirect_is_not_followed() -> None:
    probe = ask(sends(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"))
    assert (probe.outcome, probe.detail) == (Outcome.BAD_STATUS, "302")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (sends(EVENT_STREAM, event()), "the stream ended without [DONE]"),
        (sends(page("200 OK", "<html><body>It works!</body></html>", "text/html")), "no event stream"),
        (sends(page("200 OK", "")), "no event stream"),
        (sends(EVENT_STREAM, DONE), "the stream held no token"),
        (sends(EVENT_STREAM, b"data: {}\n\n"), "an event that is no completion: '{}'"),
        (sends(EVENT_STREAM, b"data: [1]\n\n"), "an event that is no completion"),
        (sends(EVENT_STREAM, b'data: {"choices": []}\n\n'), "an event that is no completion"),
        (sends(EVENT_STREAM, b"data: " + b"[" * 9000 + b"\n\n"), "an event that is no completion"),
        (sends(EVENT_STREAM, b"data: \xff\xfe\n\n"), "an event that is no completion"),
        (sends(EVENT_STREAM, b'data: {"choices": [{"text": null}]}\n\n'), "a completion without text"),
        (sends(EVENT_STREAM, b'data: {"error": {"message": "CUDA error"}}\n\n'), "an event that is no completion"),
        (sends(b"what is this\r\n\r\n"), ""),
        (sends(), ""),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", event()), ""),
    ],
    ids=[
        "cut off",
        "HTML",
        "empty",
        "no token",
        "an empty event",
        "a list",
        "no choice",
        "too deep",
        "no UTF-8",
        "no text",
        "an error event",
        "no HTTP",
        "closes at once",
        "shorter than it said",
    ],
)
def test_what_is_no_completion_is_a_bad_answer(answer: Answer, detail: str) -> None:
    probe = ask(answer)
    assert probe.outcome is Outcome.BAD_ANSWER
    assert probe.detail.startswith(detail)
    assert probe.detail


@pytest.mark.parametrize(
    ("piece", "detail"),
    [
        (event(), f"more than {ANSWER_EVENTS} events for a canary"),
        (b"data: " + b"x" * 4000, f"more than {ANSWER_BYTES} bytes for a canary"),
    ],
    ids=["events", "one endless line"],
)
def test_a_server_that_streams_forever_is_given_up(piece: bytes, detail: str) -> None:
    sent = 0

    async def answer(request: Request) -> None:
        nonlocal sent
        await request.send(EVENT_STREAM)
        while sent < 64 * 1024 * 1024:
            await request.send(piece)
            sent += len(piece)

    probe = ask(answer)
    assert (probe.outcome, probe.detail) == (Outcome.BAD_ANSWER, detail)
    assert sent < 64 * 1024 * 1024


def test_another_model_is_named() -> None:
    probe = ask(sends(EVENT_STREAM, event(model="llama-2-" + "x" * 200), DONE))
    assert probe.outcome is Outcome.WRONG_MODEL
    assert probe.detail == ("llama-2-" + "x" * 200)[:80]


@pytest.mark.parametrize("url", ["http://[", "http://host:port", "", "entry.test", "http://\x00", "ftp://host"])
def test_a_url_that_is_none_is_a_failed_probe_and_no_exception(url: str) -> None:
    async def asked() -> tuple[EndpointProbe, int | None]:
        prober = HttpProber("vllm")
        return await prober.ask(url, MODEL, CANARY, progress=True), await prober.in_flight(url)

    probe, _ = asyncio.run(asked())
    assert not probe.passed


# Metrics


def engine(metrics: bytes | float, completion: Answer) -> Answer:
    """A server with a metrics page and completions. Seconds instead of a page: it does not answer for so long."""

    async def answer(request: Request) -> None:
        if request.path == "/metrics":
            await sends(metrics)(request)
        else:
            await completion(request)

    return answer


def test_progress_is_read_beside_a_canary_that_gets_no_answer() -> None:
    probe = ask(engine(page("200 OK", METRICS), sends(30.0)), progress=True)
    assert (probe.outcome, probe.progress) == (Outcome.TIMED_OUT, 42.0)


def test_progress_that_does_not_come_does_not_change_the_outcome() -> None:
    probe = ask(engine(30.0, sends(EVENT_STREAM, event(), DONE)), progress=True)
    assert (probe.outcome, probe.progress) == (Outcome.ANSWERED, None)
    assert probe.ended_at - probe.started_at < METRICS_SECONDS


def test_requests_in_flight_are_those_at_work_and_queued() -> None:
    assert in_flight(sends(page("200 OK", METRICS))) == 3


@pytest.mark.parametrize(
    "answer",
    [
        sends(page("200 OK", METRICS[:-20])),
        sends(page("200 OK", METRICS.replace("deferred 1", "deferred NaN"))),
        sends(f"HTTP/1.1 200 OK\r\nContent-Length: {len(METRICS)}\r\n\r\n{METRICS[:60]}".encode()),
        sends(page("200 OK", "<html></html>\n")),
        sends(page("501 Not Implemented", METRICS)),
        sends(page("200 OK", "#" * (5 * 1024 * 1024))),
        sends(30.0),
        sends(),
    ],
    ids=["cut in half", "NaN", "shorter than it said", "HTML", "switched off", "too large", "silent", "closes at once"],
)
def test_a_page_that_does_not_say_is_none(answer: Answer) -> None:
    assert in_flight(answer) is None


def test_a_process_that_is_gone_holds_no_request() -> None:
    async def asked() -> int | None:
        async with serving(sends()) as url:
            pass
        return await HttpProber("llama.cpp").in_flight(url)

    assert asyncio.run(asked()) == 0


def test_a_metrics_page_that_never_ends_is_given_up_in_time() -> None:
    began, drip = time.perf_counter(), [part for _ in range(600) for part in (b"# x\n", 0.05)]
    assert in_flight(sends(b"HTTP/1.1 200 OK\r\n\r\n", *drip)) is None
    assert time.perf_counter() - began < METRICS_SECONDS + 10
