"""What each inference server calls its counters, in its Prometheus text.

Sources: llama.cpp `tools/server/README.md` (GET /metrics), vLLM `docs/usage/metrics.md` (V1 engine).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Engine:
    """Sample names. `progress` are counters that grow with every step of decoding, `in_flight` gauges of requests."""

    progress: tuple[str, ...]
    in_flight: tuple[str, ...]


ENGINES = {
    "llama.cpp": Engine(
        progress=("llamacpp:n_decode_total",),
        in_flight=("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    ),
    "vllm": Engine(
        progress=("vllm:generation_tokens_total", "vllm:prompt_tokens_total"),
        in_flight=("vllm:num_requests_running", "vllm:num_requests_waiting"),
    ),
}


def total(page: str, names: tuple[str, ...]) -> float | None:
    """The sum of the named samples over all labels. None when a name is absent or the page cannot be read.

    A page cut in half lacks a name, has a broken line or does not end with a line feed, as the format demands (31 cut
    to 3 would look like a number): either way it proves nothing. No more does NaN.
    """
    if not page.endswith("\n"):
        return None
    found: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name in names:
                    found[sample.name] = found.get(sample.name, 0.0) + sample.value
    except ValueError:
        return None
    added = sum(found.values())
    return added if set(found) == set(names) and math.isfinite(added) else None
