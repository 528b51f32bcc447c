"""How each inference server says whether it is ready, and which model and version it has loaded.

| engine | state | models | version |
|---|---|---|---|
| llama.cpp | /health: 200, or 503 while it loads; `is_sleeping` in /props | /v1/models | /props |
| vllm | /health: 200, or 503 once its engine is dead; /is_sleeping; its metrics | /v1/models | /v1/models |
| sglang | /health: 200, or 503 while it starts or shuts down | /v1/models | /get_model_info |
| tgi | /health: 200, or 503 when its shards do not answer | /info | /info |
| openai | whether /v1/models answers | /v1/models | not said |

The version is `model_path` of llama.cpp, `root` of vLLM (the path or repository), `weight_version` of SGLang or, where
nobody set one, its `model_path`, and `model_sha` of TGI or, where it loaded a folder, its `model_id`.

Sources: llama.cpp `tools/server/README.md` (while it loads, every path answers 503 with an error of the type
`unavailable_error`), tried with a live server; vLLM `vllm/entrypoints/serve/instrumentator/health.py`,
`serve/sleep/api_router.py` (/is_sleeping is there with VLLM_SERVER_DEV_MODE only) and
`openai/models/protocol.py`; SGLang `python/sglang/srt/entrypoints/http_server.py`; TGI `router/src/server.rs`. A vLLM
or a TGI that starts does not listen yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from standfast.engine import EngineDescription, EngineMetrics, EngineState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OK = 200
UNAVAILABLE = 503
_UNSET_VERSION = "default"
"""SGLang's `weight_version` where nobody set one."""
NAME_CHARACTERS = 200
"""More of a name or a version is not kept: a server that is not ours may say anything."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came from one path: a status and a body, or the problem in words."""

    status: int = 0
    body: bytes = b""
    problem: str = ""


class _UnclearError(Exception):
    """The engine cannot be understood. The message says at which path, and why."""


@dataclass(frozen=True, slots=True)
class _Said:
    state: EngineState
    models: tuple[str, ...] = ()
    version: str | None = None
    detail: str = ""


def paths(engine: str) -> tuple[str, ...]:
    """The paths to be read of an engine, by its name in FleetConfig."""
    return _READERS[engine][0]


def describe(engine: str, pages: Mapping[str, Page], metrics: EngineMetrics) -> EngineDescription:
    """Put what came from the paths into words that all engines share. Raises nothing."""
    try:
        said = _READERS[engine][1](pages, metrics)
    except _UnclearError as error:
        return EngineDescription(EngineState.UNKNOWN, metrics=metrics, detail=str(error))
    return EngineDescription(said.state, said.models, said.version, metrics, said.detail)


def _llama_cpp(pages: Mapping[str, Page], _metrics: EngineMetrics) -> _Said:
    health = pages["/health"]
    if health.status == UNAVAILABLE:
        error = _field(_json("/health", health, status=UNAVAILABLE), "error", dict)
        if error is not None and error.get("type") == "unavailable_error":
            return _Said(EngineState.STARTING, detail="it loads its model")
    if _json("/health", health).get("status") != "ok":
        raise _UnclearError("/health says neither ok nor that it loads")
    models = _models(pages)
    try:
        properties = _json("/props", pages["/props"])
    except _UnclearError:
        return _Said(EngineState.READY, models)  # an older server; it serves all the same
    version = _name(properties.get("model_path"))
    if properties.get("is_sleeping") is True:
        return _Said(EngineState.ASLEEP, models, version, "it sleeps until a request comes")
    return _Said(EngineState.READY, models, version)


def _vllm(pages: Mapping[str, Page], metrics: EngineMetrics) -> _Said:
    if pages["/health"].status == UNAVAILABLE:
        raise _UnclearError("status 503 at /health: its engine is dead")
    _demand_ok("/health", pages["/health"])
    models = _models(pages)
    version = _name(_cards(pages)[0].get("root"))
    try:
        asleep = _json("/is_sleeping", pages["/is_sleeping"]).get("is_sleeping") is True
    except _UnclearError:
        asleep = False  # outside of development mode that path does not exist; the metric says it
    if asleep or metrics.awake is False:
        return _Said(EngineState.ASLEEP, models, version, "its weights are put away")
    return _Said(EngineState.READY, models, version)


def _sglang(pages: Mapping[str, Page], metrics: EngineMetrics) -> _Said:
    health = pages["/health"]
    if health.status == UNAVAILABLE:
        # It answers so in both cases, with nothing else. One that has worked does not start any more.
        if metrics.progress is None:
            raise _UnclearError("status 503 at /health: it starts or shuts down, and does not say which")
        if metrics.progress:
            return _Said(EngineState.DRAINING, detail="it shuts down")
        return _Said(EngineState.STARTING, detail="it warms up")
    _demand_ok("/health", health)
    models = _models(pages)
    try:
        info = _json("/get_model_info", pages["/get_model_info"])
    except _UnclearError:
        return _Said(EngineState.READY, models)
    version = _name(info.get("weight_version"))
    return _Said(EngineState.READY, models, version if version != _UNSET_VERSION else _name(info.get("model_path")))


def _tgi(pages: Mapping[str, Page], _metrics: EngineMetrics) -> _Said:
    if pages["/health"].status == UNAVAILABLE:
        raise _UnclearError("status 503 at /health: its shards do not answer")
    _demand_ok("/health", pages["/health"])
    info = _json("/info", pages["/info"])
    model = _name(info.get("model_id"))
    if model is None:
        raise _UnclearError("/info names no model")
    return _Said(EngineState.READY, (model,), _name(info.get("model_sha")) or model)


def _openai(pages: Mapping[str, Page], _metrics: EngineMetrics) -> _Said:
    return _Said(EngineState.READY, _models(pages))


_READERS: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Page], EngineMetrics], _Said]]] = {
    "llama.cpp": (("/health", "/v1/models", "/props"), _llama_cpp),
    "vllm": (("/health", "/v1/models", "/is_sleeping"), _vllm),
    "sglang": (("/health", "/v1/models", "/get_model_info"), _sglang),
    "tgi": (("/health", "/info"), _tgi),
    "openai": (("/v1/models",), _openai),
}


def _demand_ok(path: str, page: Page, status: int = OK) -> None:
    if page.problem:
        raise _UnclearError(f"{path}: {page.problem}")
    if page.status != status:
        raise _UnclearError(f"status {page.status} at {path}")


def _json(path: str, page: Page, status: int = OK) -> dict[str, Any]:
    _demand_ok(path, page, status)
    try:
        found = json.loads(page.body)
    except (ValueError, RecursionError) as error:
        raise _UnclearError(f"{path} is no JSON") from error
    if not isinstance(found, dict):
        raise _UnclearError(f"{path} is no JSON object")
    return found


def _field(found: Mapping[str, Any], name: str, kind: type) -> Any:
    value = found.get(name)
    return value if isinstance(value, kind) else None


def _name(value: object) -> str | None:
    return value[:NAME_CHARACTERS] if isinstance(value, str) and value else None


def _cards(pages: Mapping[str, Page]) -> list[dict[str, Any]]:
    """The models of OpenAI's list, at least one."""
    listed = _field(_json("/v1/models", pages["/v1/models"]), "data", list)
    cards = [card for card in listed or () if isinstance(card, dict) and _name(card.get("id"))]
    if not cards:
        raise _UnclearError("/v1/models lists no model")
    return cards


def _models(pages: Mapping[str, Page]) -> tuple[str, ...]:
    return tuple(str(_name(card["id"])) for card in _cards(pages))
