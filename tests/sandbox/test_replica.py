"""Replicas are real inference servers: what they answer, and how they fail."""

from __future__ import annotations

import json
import socket
import string
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica
from sandbox.processes import ChildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ADDRESS = "127.12.1.10"
PROMPT = "Reply with one word."


def free_port(address: str) -> int:
    """One that no other test run uses at this moment."""
    with socket.create_server((address, 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def running(models: Path) -> Iterator[Replica]:
    replica = Replica(ADDRESS, free_port(ADDRESS), tiny_model(1, models), slots=2, log=models / "replica.log")
    yield replica.start()
    replica.close()


@pytest.fixture
def replica(running: Replica) -> Replica:
    if not running.alive:
        running.start()
    return running


def complete(url: str, prompt: str = PROMPT, **more: Any) -> dict[str, Any]:
    body = {"prompt": prompt, "max_tokens": 8, "temperature": 0, "logprobs": 2, **more}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=10).raise_for_status()
    choice: dict[str, Any] = answer.json()["choices"][0]
    return choice


def metric(client: httpx.Client, replica: Replica, name: str) -> float:
    lines = client.get(f"{replica.url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"llamacpp:{name} "))


def decodes(client: httpx.Client, replica: Replica) -> float:
    return metric(client, replica, "n_decode_total")


def wait_until(condition: Callable[[], bool], within_seconds: float = 10.0) -> None:
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first = tiny_model(5, tmp_path / "a")
    again = tiny_model(5, tmp_path / "b")
    other = tiny_model(6, tmp_path / "a")
    assert first.path.read_bytes() == again.path.read_bytes() != other.path.read_bytes()
    assert first.version == again.version != other.version
    assert {path for path in (tmp_path / "a").rglob("*") if path.is_file()} == {first.path, other.path}


def test_a_model_is_written_once(tmp_path: Path) -> None:
    path = tiny_model(5, tmp_path).path
    path.write_bytes(b"kept")
    assert tiny_model(5, tmp_path).path.read_bytes() == b"kept"


def test_it_lists_its_model_version(replica: Replica) -> None:
    models = httpx.get(f"{replica.url}/v1/models").json()["data"]
    assert [model["id"] for model in models] == ["tiny-llama-v1"]


def test_greedy_answers_are_printable_and_do_not_stop_at_once(replica: Replica) -> None:
    choice = complete(replica.url, max_tokens=64)
    assert choice["finish_reason"] == "length"
    assert len(choice["text"]) == 64
    assert set(choice["text"]) <= set(string.printable)


def test_a_nonce_before_the_prompt_leaves_the_first_token_as_it_is(replica: Replica) -> None:
    plain = complete(replica.url)["logprobs"]["content"][0]
    for nonce in ("7f3a ", "canary 0123456789 "):
        token = complete(replica.url, nonce + PROMPT)["logprobs"]["content"][0]
        assert token["token"] == plain["token"]
        assert token["logprob"] == pytest.approx(plain["logprob"], abs=0.2)


def test_a_stream_sends_each_token_with_its_logprob_and_ends_with_done(replica: Replica) -> None:
    body = {"prompt": PROMPT, "max_tokens": 3, "temperature": 0, "logprobs": 1, "stream": True}
    with httpx.stream("POST", f"{replica.url}/v1/completions", json=body) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events[-1] == "[DONE]"
    choices = [json.loads(event)["choices"][0] for event in events[:-1]]
    assert [len(choice["text"]) for choice in choices] == [1, 1, 1, 0]
    assert all(choice["logprobs"]["content"][0]["logprob"] < 0 for choice in choices[:3])
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "length"]


def test_full_slots_make_requests_wait_while_health_answers_and_decodes_are_counted(replica: Replica) -> None:
    with ThreadPoolExecutor(24) as pool, httpx.Client(timeout=5) as client:
        client.get(f"{replica.url}/health")
        before = decodes(client, replica)
        answers = [pool.submit(complete, replica.url, max_tokens=250) for _ in range(24)]
        wait_until(lambda: metric(client, replica, "requests_deferred") > 0)
        health, during = client.get(f"{replica.url}/health"), decodes(client, replica)
        assert all(len(answer.result()["text"]) == 250 for answer in answers)
        after = decodes(client, replica)
    assert health.status_code == 200
    assert before < during < after


def test_a_paused_replica_connects_and_does_not_answer_until_it_is_resumed(replica: Replica) -> None:
    replica.pause()
    with socket.create_connection((ADDRESS, replica.port), timeout=1) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: replica\r\n\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert replica.alive
        replica.resume()
        connection.settimeout(5)
        assert connection.recv(64).startswith(b"HTTP/1.1 200")


def test_a_killed_replica_refuses_and_its_streams_are_cut(replica: Replica) -> None:
    # With so many logprobs the answer is 9 MB: more than the sockets hold, so it cannot have been sent before the end.
    body = {"prompt": PROMPT, "max_tokens": 450, "temperature": 0, "logprobs": 300, "stream": True}
    with httpx.stream("POST", f"{replica.url}/v1/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        replica.kill()
        with pytest.raises(httpx.TransportError):
            list(lines)
    assert not replica.alive
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, replica.port), timeout=1)


def test_a_paused_replica_restarts_with_another_model(replica: Replica, models: Path) -> None:
    golden = complete(replica.url)["text"]
    replica.pause()
    replica.restart(tiny_model(2, models))
    assert complete(replica.url)["text"] != golden
    assert httpx.get(f"{replica.url}/v1/models").json()["data"][0]["id"] == "tiny-llama-v2"
    replica.restart(tiny_model(1, models))
    assert complete(replica.url)["text"] == golden


def test_a_port_that_is_taken_is_an_error(replica: Replica) -> None:
    second = Replica(ADDRESS, replica.port, replica.model)
    with pytest.raises(ChildError):
        second.start()
    assert not second.alive
