"""The load counts every request and says how each one failed."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.fleet import clients
from sandbox.fleet.clients import Arrival, Service, arrivals
from sandbox.fleet.frontdoor import FrontDoor
from sandbox.fleet.load import Load, Plan, Record
from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica
from sandbox.fleet.routing import Routing, Rule, Target, TargetGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN = b'data: {"choices":[{"text":"a"}]}\n\n'
EMPTY = b'data: {"choices":[{"text":"","finish_reason":"length"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def chunks(*events: bytes, ended: bool = True) -> bytes:
    pieces = (b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    return HEAD + b"".join(pieces) + (b"0\r\n\r\n" if ended else b"")


def ask(answer: bytes, *, hold: bool = False) -> Record:
    """The record of one request to a server that answers these bytes, and then ends or holds the connection."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if hold:
            await reader.read()
        writer.close()
        served.set()

    async def exchange() -> Record:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        record = await Service(f"http://127.0.0.1:{port}", None).request(3, "3-0", Arrival(0.0, "why", 8))
        await served.wait()
        server.close()
        return record

    return asyncio.run(exchange())


def free_port(address: str) -> int:
    """One that no other test run uses at this moment."""
    with socket.create_server((address, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], within_seconds: float = 10.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_seed_fixes_arrivals_prompts_and_lengths() -> None:
    def first(plan: Plan, client: int) -> list[Arrival]:
        return list(itertools.islice(arrivals(plan, client), 200))

    plan = Plan(clients=10, rate_per_second=20, seed=1)
    assert first(plan, 0) == first(plan, 0)
    assert first(plan, 0) != first(plan, 1)
    assert first(plan, 0) != first(Plan(clients=10, rate_per_second=20, seed=2), 0)
    assert sum(arrival.after_seconds for arrival in first(plan, 0)) == pytest.approx(100, rel=0.25)
    assert {arrival.max_tokens for arrival in first(plan, 0)} == set(range(8, 25))


def test_a_part_of_the_requests_says_that_it_is_of_low_priority_and_the_others_stay_as_they_are() -> None:
    plain = Plan(seed=5)
    marked = Plan(seed=5, low_priority=("x-priority", "low"), low_priority_share=0.4)
    found = list(itertools.islice(arrivals(marked, 1), 1000))
    assert 320 < sum(arrival.low_priority for arrival in found) < 480
    assert not any(arrival.low_priority for arrival in itertools.islice(arrivals(plain, 1), 100))
    question = Service("http://127.0.0.1:1", None, marked.low_priority)._question
    headers = [question("1-0", Arrival(0.0, "why", 8, low_priority=low)).lower() for low in (True, False)]
    assert [b"x-priority: low" in each for each in headers] == [True, False]


def test_a_stream_with_its_done_is_a_success() -> None:
    record = ask(chunks(TOKEN, TOKEN, EMPTY, DONE))
    assert (record.ok, record.status, record.tokens, record.failure) == (True, 200, 2, None)
    assert record.first_token_at is not None
    assert record.sent_at <= record.first_token_at <= record.ended_at
    assert (record.client, record.request) == (3, "3-0")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (chunks(TOKEN, EMPTY), "cut"),  # a clean end, but no [DONE]
        (chunks(TOKEN, ended=False), "cut"),
        (b"", "cut"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "status 502"),
        (chunks(EMPTY, DONE), "no tokens"),
        (chunks(b'data: {"error":{"message":"no"}}\n\n', DONE), "error in the stream"),
        (b"220 mail here\r\n\r\n", "not an HTTP answer"),
    ],
)
def test_a_failed_request_says_how_it_failed(answer: bytes, failure: str) -> None:
    record = ask(answer)
    assert (record.ok, record.failure) == (False, failure)


def test_503_with_retry_after_is_shed_and_without_it_a_failure() -> None:
    told = ask(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
    assert (told.ok, told.shed, told.failed, told.retry_after_seconds) == (False, True, False, 7.0)
    plain = ask(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    assert (plain.shed, plain.failed, plain.failure) == (False, True, "status 503")


@pytest.mark.parametrize(("patience", "tries"), [(60.0, 3), (0.5, 1)])
def test_a_request_that_is_shed_comes_back_until_its_patience_ends(
    patience: float, tries: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([(True, 1.0), (True, 1.0), (False, None), (False, None)])
    slept: list[float] = []

    class Scripted(Service):
        async def request(self, client: int, name: str, arrival: Arrival) -> Record:
            shed, after = next(answers)
            return Record(client, name, 0.0, None, 0.1, not shed, 503 if shed else 200, 1, None, after)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(clients._send(Scripted("http://127.0.0.1:1", None), 0, "0-0", Arrival(0.0, "why", 8), patience))
    records = [Record(**json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    assert [record.request for record in records] == ["0-0"] * tries
    assert slept == [1.0] * (tries - 1)


def test_silence_is_a_failure_at_each_of_its_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "FIRST_TOKEN_SECONDS", 0.1)
    monkeypatch.setattr(clients, "BETWEEN_TOKENS_SECONDS", 0.1)
    assert ask(b"", hold=True).failure == "no first token in 3 s"
    assert ask(HEAD, hold=True).failure == "no first token in 3 s"
    assert ask(chunks(TOKEN, ended=False), hold=True).failure == "no token for 0.1 s"
    monkeypatch.setattr(clients, "TOTAL_SECONDS", 0.05)
    assert ask(chunks(TOKEN, ended=False), hold=True).failure == "not done in 0.05 s"


def test_a_port_where_nobody_listens_is_refused() -> None:
    url = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    record = asyncio.run(Service(url, None).request(0, "0-0", Arrival(0.0, "why", 8)))
    assert (record.ok, record.status, record.failure) == (False, None, "refused")


def test_every_request_through_the_front_door_is_recorded_and_a_dead_replica_is_felt(tmp_path: Path) -> None:
    replica = Replica(
        "127.14.1.10", free_port("127.14.1.10"), tiny_model(1, tmp_path), log=tmp_path / "replica.log"
    ).start()
    group = TargetGroup("blue", (Target("i-1", replica.address, replica.port),), "/health", 5.0, 2.0, 2, 2)
    seen: list[Record] = []
    load = Load(Plan(clients=5, rate_per_second=50, seed=3), on_record=seen.append, log=tmp_path / "load.log")
    with FrontDoor(log=tmp_path / "door.log") as door, load:
        door.apply(Routing((Rule("rule", 1, None, ("/v1/*",), {"blue": 1}),), {"blue": group}))
        load.start(door.url)
        wait_until(lambda: len(load.records()) >= 25)
        good = len(load.records())
        replica.kill()
        wait_until(lambda: load.records()[-1].failure == "status 502")
        records = load.stop()
        counters = door.counters()
    assert all(record.ok and record.tokens >= 8 for record in records[:good])
    assert {record.failure for record in records[good:]} <= {None, "status 502", "cut"}
    assert list(records) == seen
    assert len({record.request for record in records}) == len(records) == counters.groups["blue"].requests
    assert counters.elb_status[502] == sum(record.failure == "status 502" for record in records)
    assert (tmp_path / "door.log").read_text() == (tmp_path / "load.log").read_text() == ""


def test_a_load_stops_when_told_to_and_is_closed_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        arrived = threading.Event()
        with Load(Plan(clients=1, rate_per_second=100), on_record=lambda _: arrived.set()) as load:
            load.start(url)
            silent.accept()[0].close()
            assert arrived.wait(10)
            load.close()
            assert load.records()[0].failure == "cut"
            with pytest.raises(RuntimeError, match="make another one"):
                load.start(url)
