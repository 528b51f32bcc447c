"""What each inference server calls its figures, in its Prometheus text.

Every figure has alternatives, the present name first: engines rename, and a fleet is rarely on the latest release.
A colon in a name may have become an underscore on the way (an exporter that knows no colons). Sources:

* llama.cpp `tools/server/README.md` (GET /metrics); `kv_cache_usage_ratio` is in older releases only.
* vLLM `docs/usage/metrics.md` and `vllm/v1/metrics/loggers.py`; `gpu_cache_usage_perc` until 0.9. `engine_sleep_state`
  is 1 at `sleep_state="awake"` while the engine is awake. Its token counters stand still while a long prompt alone is
  read in pieces, and the share of the KV cache grows: it is added, for it is less than one token.
* SGLang `python/sglang/srt/metrics/collector.py`: `generation_tokens_total` and `prompt_tokens_total` move only at the
  end of a request, `realtime_tokens_total` (newer) every few steps, the count of `inter_token_latency_seconds` (before
  0.4.7 `time_per_output_token_seconds`) with every token that is sent.
* TGI `backends/v3/src/backend.rs` and `docs/source/reference/metrics.md`: `tgi_batch_inference_count` is counted at
  every prefill and decode step. The share of the KV cache is not said. Its completions have no logprobs, and a model in
  a request is taken for the name of an adapter, unless it is `tgi` (`router/src/server.rs`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from standfast.engine import UNREAD, EngineMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Engine:
    """Sample names. Each alternative of `progress` is a set of counters that are added.

    `asleep_unless` is the gauge that is 1 at the label `sleep_state="awake"` while the engine is awake.
    `says_logprobs`: each token of a completion has a logprob when it is asked for. `called` is what a request names
    instead of the model; empty where it names the model.
    """

    progress: tuple[tuple[str, ...], ...] = ()
    running: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    kv_usage: tuple[str, ...] = ()
    asleep_unless: str = ""
    says_logprobs: bool = False
    called: str = ""

    @property
    def has_metrics(self) -> bool:
        """Whether there is a page to read."""
        return bool(self.progress)


_VLLM_TOKENS = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total")
_SGLANG_REQUESTS = ("sglang:generation_tokens_total", "sglang:prompt_tokens_total")
ENGINES = {
    "llama.cpp": Engine(
        progress=(("llamacpp:n_decode_total",),),
        running=("llamacpp:requests_processing",),
        waiting=("llamacpp:requests_deferred",),
        kv_usage=("llamacpp:kv_cache_usage_ratio",),
        says_logprobs=True,
    ),
    "vllm": Engine(
        progress=(
            (*_VLLM_TOKENS, "vllm:kv_cache_usage_perc"),
            (*_VLLM_TOKENS, "vllm:gpu_cache_usage_perc"),
            _VLLM_TOKENS,
        ),
        running=("vllm:num_requests_running",),
        waiting=("vllm:num_requests_waiting",),
        kv_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        asleep_unless="vllm:engine_sleep_state",
        says_logprobs=True,
    ),
    "sglang": Engine(
        progress=(
            ("sglang:realtime_tokens_total", "sglang:inter_token_latency_seconds_count"),
            (*_SGLANG_REQUESTS, "sglang:inter_token_latency_seconds_count"),
            (*_SGLANG_REQUESTS, "sglang:time_per_output_token_seconds_count"),
        ),
        running=("sglang:num_running_reqs",),
        waiting=("sglang:num_queue_reqs",),
        kv_usage=("sglang:token_usage",),
        says_logprobs=True,
    ),
    "tgi": Engine(
        progress=(("tgi_batch_inference_count",), ("tgi_batch_inference_count_total",)),
        running=("tgi_batch_current_size",),
        waiting=("tgi_queue_size",),
        called="tgi",
    ),
    "openai": Engine(),
}
"""By the name that FleetConfig has for the engine. `openai` is any other server that speaks OpenAI's completions."""


def read_metrics(engine: Engine, page: str) -> EngineMetrics:
    """The figures of a page, over all labels. Raises nothing.

    A page that is cut in half lacks a name, has a broken line or does not end with a line feed, as the format demands
    (31 cut to 3 would look like a number): what it does not say for sure is None. No more does NaN say anything.
    HTTP itself sees a page that ends early between two lines.
    """
    found = _samples(engine, page)
    if found is None:
        return UNREAD
    usage = _first(found, engine.kv_usage, max)
    awake = _first(found, (engine.asleep_unless,), min)
    return EngineMetrics(
        progress=_progress(found, engine.progress),
        running=_count(_first(found, engine.running, sum)),
        waiting=_count(_first(found, engine.waiting, sum)),
        kv_usage=usage if usage is not None and 0 <= usage <= 1 else None,
        awake=None if awake is None else awake > 0,
    )


def _samples(engine: Engine, page: str) -> dict[str, list[float]] | None:
    """Name -> its values over all labels, of the names that matter; None when the page cannot be read."""
    if not page.endswith("\n"):
        return None
    wanted = {_plain(name) for name in (*engine.running, *engine.waiting, *engine.kv_usage, *_all(engine.progress))}
    asleep_unless = _plain(engine.asleep_unless)
    found: dict[str, list[float]] = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                name = _plain(sample.name)
                if name in wanted or (name == asleep_unless and sample.labels.get("sleep_state") == "awake"):
                    found.setdefault(name, []).append(sample.value)
    except ValueError:
        return None
    return found


def _plain(name: str) -> str:
    return name.replace(":", "_")


def _all(alternatives: tuple[tuple[str, ...], ...]) -> set[str]:
    return {name for names in alternatives for name in names}


def _first(
    found: Mapping[str, Sequence[float]], alternatives: tuple[str, ...], combine: Callable[[Sequence[float]], float]
) -> float | None:
    """The first alternative that is there, over all labels; None without any, or when a value is no number."""
    for name in alternatives:
        if _plain(name) in found:
            combined = combine(found[_plain(name)])
            return combined if math.isfinite(combined) else None
    return None


def _progress(found: Mapping[str, Sequence[float]], alternatives: tuple[tuple[str, ...], ...]) -> float | None:
    """The sum of the first alternative of which every name is there."""
    for names in alternatives:
        read = [_first(found, (name,), sum) for name in names]
        if all(value is not None for value in read):
            return sum(value for value in read if value is not None)
    return None


def _count(value: float | None) -> int | None:
    return None if value is None or value < 0 else int(value)
