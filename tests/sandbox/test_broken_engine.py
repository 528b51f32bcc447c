"""A broken engine: its answers are spoilt, everything else is as the real server says."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sandbox.fleet.broken_engine import DELAY_SECONDS, UPSTREAM_PORTS, BrokenEngine, Fault, spoilt
from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "127.15.1.11"
EVENT = {"choices": [{"text": "EE", "logprobs": {"content": [{"token": "E", "logprob": -0.1}]}}], "model": "tiny"}


def line(event: object, prefix: bytes = b"data: ") -> bytes:
    return prefix + json.dumps(event).encode()


def choice(spoilt_line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(spoilt_line.removeprefix(b"data: "))["choices"][0]
    return found


def test_nan_logits_give_token_0_and_no_logprob() -> None:
    found = choice(spoilt(line(EVENT), Fault.NAN))
    assert (found["text"], found["logprobs"]["content"]) == ("!!", [{"token": "!", "logprob": None}])


def test_nonsense_is_other_printable_text_that_the_model_is_not_sure_of() -> None:
    found = choice(spoilt(line(EVENT, b""), Fault.NONSENSE))
    (token,) = found["logprobs"]["content"]
    assert found["text"] == 2 * token["token"] != "EE"
    assert found["text"].isprintable()
    assert token["logprob"] < -9


@pytest.mark.parametrize("kept", [b"", b"data: [DONE]", b": a comment", line({"error": "no"}), b"data: {", b"[1]"])
def test_what_is_no_completion_stays_as_it_is(kept: bytes) -> None:
    assert spoilt(kept, Fault.NAN) == kept


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    model = tiny_model(1, tmp_path_factory.mktemp("models"))
    made = Replica(ADDRESS, free_port(), model)
    yield made.start()
    made.close()


def free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as free:
        port: int = free.getsockname()[1]
    return port if port + UPSTREAM_PORTS < 65_536 else port - UPSTREAM_PORTS


def ask(replica: Replica) -> httpx.Response:
    body = {"prompt": "why", "max_tokens": 3, "temperature": 0, "logprobs": 1, "stream": True}
    return httpx.post(f"{replica.url}/v1/completions", json=body, timeout=20)


def text(answer: httpx.Response) -> str:
    events = [each.removeprefix("data: ") for each in answer.text.splitlines() if each.startswith("data: {")]
    return "".join(json.loads(event)["choices"][0]["text"] for event in events)


def test_a_spoilt_stream_is_whole_and_the_pages_are_well(replica: Replica) -> None:
    right = text(ask(replica))
    with BrokenEngine(replica, Fault.NAN):
        answer = ask(replica)
        assert (answer.status_code, text(answer)) == (200, "!!!")
        assert answer.text.rstrip().endswith("data: [DONE]")
        assert httpx.get(f"{replica.url}/health").status_code == 200
        assert "llamacpp:n_decode_total" in httpx.get(f"{replica.url}/metrics").text
    assert text(ask(replica)) == right


def test_a_fifth_of_the_answers_are_errors(replica: Replica) -> None:
    with BrokenEngine(replica, Fault.ERRORS, seed=1):
        statuses = [ask(replica).status_code for _ in range(50)]
    assert set(statuses) == {200, 500}
    assert 3 <= statuses.count(500) <= 20


def test_a_slow_engine_gives_the_right_answer_later(replica: Replica) -> None:
    right = text(ask(replica))
    with BrokenEngine(replica, Fault.SLOW):
        began = time.monotonic()
        assert text(ask(replica)) == right
        assert time.monotonic() - began >= DELAY_SECONDS


def test_who_leaves_leaves_the_engine_too(replica: Replica) -> None:
    """Else a completion that nobody waits for would hold a slot."""
    with BrokenEngine(replica, Fault.NAN):
        body = {"prompt": "why", "max_tokens": 4000, "stream": True}
        with httpx.stream("POST", f"{replica.url}/v1/completions", json=body, timeout=20) as answer:
            next(answer.iter_raw())
        deadline = time.monotonic() + 20
        while any(slot["is_processing"] for slot in httpx.get(f"{replica.url}/slots").json()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
