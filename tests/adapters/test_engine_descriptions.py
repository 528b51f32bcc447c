"""What each engine says of itself. llama.cpp runs; the others are recorded answers in their own formats."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fleet.models import tiny_model
from sandbox.fleet.replica import Replica
from standfast.engine import UNREAD, EngineDescription, EngineState
from standfast.fleet import Canary
from standfast.golden import NONCES, agreed, compared
from standfast.health import EndpointProbe, Outcome
from standfast.probes import states
from standfast.probes.http import LIKELY, PAGE_BYTES, STATE_BYTES, HttpProber

URL = "http://replica.test:8000"
ADDRESS = "127.12.1.30"
ENGINES = ("llama.cpp", "vllm", "sglang", "tgi", "openai")

VLLM_MODELS = {
    "object": "list",
    "data": [
        {
            "id": "chat",
            "object": "model",
            "created": 1757000000,
            "owned_by": "vllm",
            "root": "/models/llama-3.1-8b/v7",
            "parent": None,
            "max_model_len": 8192,
            "permission": [],
        },
        {"id": "an-adapter", "object": "model", "owned_by": "vllm", "root": "/lora/x", "parent": "chat"},
    ],
}
VLLM_METRICS = """\
vllm:num_requests_running{engine="0",model_name="chat"} 1.0
vllm:num_requests_waiting{engine="0",model_name="chat"} 2.0
vllm:engine_sleep_state{engine="0",model_name="chat",sleep_state="awake"} 1.0
"""
SGLANG_MODELS = {
    "object": "list",
    "data": [{"id": "chat", "object": "model", "owned_by": "sglang", "root": "chat", "max_model_len": 131072}],
}
SGLANG_INFO = {
    "model_path": "meta-llama/Llama-3.1-8B-Instruct",
    "tokenizer_path": "meta-llama/Llama-3.1-8B-Instruct",
    "is_generation": True,
    "preferred_sampling_params": None,
    "weight_version": "default",
}
SGLANG_METRICS = """\
sglang:prompt_tokens_total{model_name="chat"} 90.0
sglang:generation_tokens_total{model_name="chat"} 10.0
sglang:inter_token_latency_seconds_count{model_name="chat"} 9.0
"""
TGI_INFO = {
    "model_id": "bigscience/bloom-560m",
    "model_sha": "e985a63cdc139290c5f700ff1929f0b5942cced2",
    "model_pipeline_tag": "text-generation",
    "max_concurrent_requests": 128,
    "max_total_tokens": 2048,
    "router": "text-generation-router",
    "version": "3.3.4",
}
LLAMA_CPP_LOADS = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
LLAMA_CPP_MODELS = {"models": [{"name": "chat"}], "object": "list", "data": [{"id": "chat", "owned_by": "llamacpp"}]}
HTML = httpx.Response(200, html="<html><body>It works!</body></html>")


def answer(body: object = None, status: int = 200) -> httpx.Response:
    return httpx.Response(status) if body is None else httpx.Response(status, json=body)


WELL: dict[str, dict[str, httpx.Response]] = {
    "llama.cpp": {
        "/health": answer({"status": "ok"}),
        "/v1/models": answer(LLAMA_CPP_MODELS),
        "/props": answer({"model_path": "/models/chat.gguf", "is_sleeping": False}),
    },
    "vllm": {
        "/health": answer(),
        "/v1/models": answer(VLLM_MODELS),
        "/is_sleeping": answer({"detail": "Not Found"}, 404),
        "/metrics": httpx.Response(200, text=VLLM_METRICS),
    },
    "sglang": {
        "/health": answer(),
        "/v1/models": answer(SGLANG_MODELS),
        "/get_model_info": answer(SGLANG_INFO),
        "/metrics": httpx.Response(200, text=SGLANG_METRICS),
    },
    "tgi": {"/health": answer(), "/info": answer(TGI_INFO)},
    "openai": {"/v1/models": answer({"object": "list", "data": [{"id": "chat", "object": "model"}]})},
}


def sent(page: httpx.Response) -> httpx.Response:
    """The page as it comes over the wire: not read yet."""

    async def body() -> AsyncIterator[bytes]:
        yield page.content

    return httpx.Response(page.status_code, headers={"location": page.headers.get("location", "")}, content=body())


def prober(engine: str, pages: Mapping[str, httpx.Response | Exception], api_key: str | None = None) -> HttpProber:
    """A prober whose server answers these paths, and 404 at all others."""

    def respond(request: httpx.Request) -> httpx.Response:
        found = pages.get(request.url.path, httpx.Response(404))
        if isinstance(found, Exception):
            raise found
        return sent(found)

    return HttpProber(engine, httpx.AsyncClient(transport=httpx.MockTransport(respond)), api_key=api_key)


def described(engine: str, **changes: httpx.Response | Exception) -> EngineDescription:
    """What is understood of an engine that is well, but for the changed paths (`v1_models` is /v1/models)."""
    pages = {**WELL[engine], **{"/" + name.replace("v1_", "v1/"): page for name, page in changes.items()}}
    return asyncio.run(prober(engine, pages).describe(URL))


@pytest.mark.parametrize(
    ("engine", "models", "version"),
    [
        ("llama.cpp", ("chat",), "/models/chat.gguf"),
        ("vllm", ("chat", "an-adapter"), "/models/llama-3.1-8b/v7"),
        ("sglang", ("chat",), "meta-llama/Llama-3.1-8B-Instruct"),
        ("tgi", ("bigscience/bloom-560m",), "e985a63cdc139290c5f700ff1929f0b5942cced2"),
        ("openai", ("chat",), None),
    ],
)
def test_an_engine_that_is_well_is_ready_and_names_its_model(
    engine: str, models: tuple[str, ...], version: str | None
) -> None:
    found = described(engine)
    assert (found.state, found.models, found.version, found.detail) == (EngineState.READY, models, version, "")


def test_the_metrics_are_part_of_it() -> None:
    assert (described("vllm").metrics.running, described("vllm").metrics.waiting) == (1, 2)
    assert described("openai").metrics == UNREAD


def test_llama_cpp_says_that_it_loads() -> None:
    loads = answer(LLAMA_CPP_LOADS, 503)
    found = described("llama.cpp", health=loads, v1_models=loads, props=loads)
    assert (found.state, found.models, found.detail) == (EngineState.STARTING, (), "it loads its model")


def test_llama_cpp_says_that_it_sleeps() -> None:
    asleep = answer({"model_path": "/models/chat.gguf", "is_sleeping": True})
    assert described("llama.cpp", props=asleep).state is EngineState.ASLEEP


def test_vllm_says_that_it_sleeps_in_development_mode_and_by_its_metrics() -> None:
    assert described("vllm", is_sleeping=answer({"is_sleeping": True})).state is EngineState.ASLEEP
    asleep = httpx.Response(200, text=VLLM_METRICS.replace('"awake"} 1.0', '"awake"} 0.0'))
    assert described("vllm", metrics=asleep).state is EngineState.ASLEEP


def test_sglang_starts_before_it_has_worked_and_shuts_down_afterwards() -> None:
    refusing = answer(status=503)
    nothing_yet = httpx.Response(200, text="".join(f"{line[:-4]}0.0\n" for line in SGLANG_METRICS.splitlines()))
    assert described("sglang", health=refusing).state is EngineState.DRAINING
    assert described("sglang", health=refusing, metrics=nothing_yet).state is EngineState.STARTING
    unsaid = described("sglang", health=refusing, metrics=httpx.Response(404))
    assert unsaid.state is EngineState.UNKNOWN
    assert "does not say which" in unsaid.detail


def test_sglang_names_the_version_that_somebody_gave_its_weights() -> None:
    assert described("sglang", get_model_info=answer({**SGLANG_INFO, "weight_version": "v7"})).version == "v7"


def test_tgi_names_the_folder_that_it_loaded() -> None:
    assert described("tgi", info=answer({**TGI_INFO, "model_id": "/data", "model_sha": None})).version == "/data"


@pytest.mark.parametrize(("engine", "reason"), [("vllm", "its engine is dead"), ("tgi", "its shards do not answer")])
def test_an_engine_whose_inside_is_gone_is_in_no_state_that_would_pass(engine: str, reason: str) -> None:
    found = described(engine, health=answer({"error": "unhealthy", "error_type": "healthcheck"}, 503))
    assert found.state is EngineState.UNKNOWN
    assert reason in found.detail


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "page",
    [
        HTML,
        httpx.Response(200, text='{"object": "list", "data": [{"id": "ch'),
        httpx.Response(200, content=b"\xff\xfe\x00"),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b" " * 10_000_000),
        httpx.Response(200, text="[]"),
        httpx.Response(200, text="{}"),
        httpx.Response(302, headers={"location": "http://elsewhere.test/"}),
        httpx.Response(401),
        httpx.Response(500),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("cut off"),
    ],
    ids=["HTML", "half a JSON", "no UTF-8", "too deep", "10 MB", "a list", "nothing in it", "a redirect", "no key",
         "an error", "refused", "late", "cut off"],
)  # fmt: skip
def test_what_cannot_be_understood_is_unknown_with_a_reason(engine: str, page: httpx.Response | Exception) -> None:
    found = asyncio.run(prober(engine, dict.fromkeys([*WELL[engine], "/metrics"], page)).describe(URL))
    assert (found.state, found.models, found.version) == (EngineState.UNKNOWN, (), None)
    assert found.detail
    assert len(found.detail) < 120


def test_a_page_that_is_too_long_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=endless())))
    found = asyncio.run(HttpProber("openai", client).describe(URL))
    assert found.detail == f"/v1/models: more than {STATE_BYTES} bytes"
    assert sent < PAGE_BYTES


def test_the_key_goes_with_every_request_and_not_to_where_a_redirect_points() -> None:
    seen: list[tuple[str, str | None]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers.get("authorization")))
        return sent(httpx.Response(302, headers={"location": "http://elsewhere.test/"}))

    async def asked() -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(respond), follow_redirects=False)
        prober = HttpProber("vllm", client, api_key="sesame")
        await prober.describe(URL)
        await prober.in_flight(URL)
        await prober.ask(URL, "chat", Canary(), progress=True)

    asyncio.run(asked())
    assert len(seen) == 7
    assert set(seen) == {("replica.test", "Bearer sesame")}


@given(
    st.sampled_from(ENGINES),
    st.integers(100, 599),
    st.binary() | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["data", "id", "root", "status", "error", "type", "model_id", "weight_version"]), inner
        ),
    ).map(lambda found: json.dumps(found).encode()),
)  # fmt: skip
def test_no_page_whatever_raises(engine: str, status: int, body: bytes) -> None:
    pages = dict.fromkeys(states.paths(engine), states.Page(status, body))
    assert states.describe(engine, pages, UNREAD).state in EngineState


# Completions in each engine's own form


def stream(*events: dict[str, Any]) -> httpx.Response:
    lines = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=lines)


def vllm_event(text: str, logprob: float | None, finish: str | None = None) -> dict[str, Any]:
    logprobs = {"text_offset": [0], "token_logprobs": [logprob], "tokens": [text], "top_logprobs": [{text: logprob}]}
    choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish, "stop_reason": None}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "chat", "choices": [choice]}


def tgi_event(text: str, finish: str = "") -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return {"id": "", "created": 1, "model": "chat", "system_fingerprint": "3.3.4-native", "choices": [choice]}


def asked(engine: str, page: httpx.Response, **options: Any) -> tuple[EndpointProbe, dict[str, Any]]:
    """The probe, and the body of the request."""
    bodies: list[dict[str, Any]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return sent(page)

    client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    probe = asyncio.run(HttpProber(engine, client).ask(URL, "chat", Canary(), **options))
    return probe, bodies[0]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_first_token_and_its_logprob_are_read_from_lists(engine: str) -> None:
    page = stream(vllm_event(" Paris", -0.25), vllm_event(".", -1.0), vllm_event(" It", -2.0, "length"))
    probe, body = asked(engine, page, logprobs=True)
    assert (probe.outcome, probe.first_token, probe.first_logprob) == (Outcome.ANSWERED, " Paris", -0.25)
    assert probe.between_tokens_seconds is not None
    assert probe.first_likely == ((" Paris", -0.25),)
    assert body["logprobs"] == 5


@pytest.mark.parametrize("logprob", [None, -9999.0])
def test_a_logprob_that_is_none_is_nonsense(logprob: float | None) -> None:
    probe, _ = asked("vllm", stream(vllm_event("!", logprob), vllm_event("!", logprob)), logprobs=True)
    assert (probe.outcome, probe.detail) == (Outcome.NONSENSE, "a token without a finite logprob")
    assert not probe.passed


def test_tgi_is_asked_for_no_adapter_and_no_logprobs() -> None:
    probe, body = asked("tgi", stream(tgi_event(" Paris"), tgi_event(".", "length")), logprobs=True)
    assert (probe.outcome, probe.first_token, probe.first_logprob) == (Outcome.ANSWERED, " Paris", None)
    assert body["model"] == "tgi"
    assert "logprobs" not in body


def test_a_fixed_nonce_asks_the_same_question_and_demands_logprobs_of_any_engine() -> None:
    probe, body = asked("openai", stream(tgi_event("Paris")), nonce="0f3a")
    assert body["prompt"] == f"[0f3a] {Canary().prompt}"
    assert probe.outcome is Outcome.NONSENSE


def test_without_a_wish_for_logprobs_none_are_asked_for() -> None:
    probe, body = asked("vllm", stream(tgi_event("Paris")))
    assert "logprobs" not in body
    assert (probe.outcome, probe.first_logprob) == (Outcome.ANSWERED, None)


# llama.cpp itself


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("models")
    replica = Replica(ADDRESS, port, tiny_model(1, folder), slots=2, log=folder / "replica.log")
    yield replica.start()
    replica.close()


async def live(replica: Replica, **options: Any) -> tuple[EngineDescription, EndpointProbe]:
    prober = HttpProber("llama.cpp")
    described = await prober.describe(replica.url)
    canary = Canary(max_tokens=4, first_token_seconds=2, deadline_seconds=2)
    probe = await prober.ask(replica.url, replica.model.version, canary, **options)
    await prober.close()
    return described, probe


def test_a_running_llama_cpp_is_described(replica: Replica) -> None:
    found, _ = asyncio.run(live(replica))
    assert (found.state, found.models, found.version) == (
        EngineState.READY,
        (replica.model.version,),
        str(replica.model.path),
    )
    assert (found.metrics.running, found.metrics.waiting) == (0, 0)
    assert found.metrics.progress is not None


def test_a_running_llama_cpp_answers_the_same_question_alike(replica: Replica) -> None:
    _, first = asyncio.run(live(replica, nonce="0f3a"))
    _, again = asyncio.run(live(replica, nonce="0f3a"))
    assert first.outcome is Outcome.ANSWERED, first.detail
    assert first.first_logprob is not None
    assert first.first_logprob < 0
    assert len(first.first_likely) == LIKELY
    assert dict(first.first_likely)[first.first_token or ""] == first.first_logprob
    assert again.first_token == first.first_token
    assert again.first_logprob == pytest.approx(first.first_logprob, abs=0.01)
    assert first.between_tokens_seconds is not None


def test_golden_answers_of_a_running_llama_cpp_tell_other_weights_under_the_same_name(
    replica: Replica, tmp_path_factory: pytest.TempPathFactory
) -> None:
    canary = Canary(first_token_seconds=2, deadline_seconds=2)
    other = replace(tiny_model(2, tmp_path_factory.mktemp("other")), version=replica.model.version)
    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    impostor = Replica(ADDRESS, port, other, slots=2).start()

    async def told(url: str) -> dict[str, list[EndpointProbe]]:
        prober = HttpProber("llama.cpp")
        name = replica.model.version
        answers = {nonce: [await prober.ask(url, name, canary, nonce=nonce) for _ in range(2)] for nonce in NONCES}
        await prober.close()
        return answers

    try:
        golden = agreed({"i-1": asyncio.run(told(replica.url))}, canary.prompt, canary.logprob_tolerance)
        again, forged = asyncio.run(told(replica.url)), asyncio.run(told(impostor.url))
    finally:
        impostor.close()
    for each in golden:
        assert all(compared(probe, each, canary.logprob_tolerance).passed for probe in again[each.nonce])
        assert all(
            compared(probe, each, canary.logprob_tolerance).outcome is Outcome.NONSENSE for probe in forged[each.nonce]
        )
