"""What the CloudWatch agent of each node tells CloudWatch of its GPUs, by the configuration in the node's user data.

Names, dimensions and rules: "Collect NVIDIA GPU metrics" and "Manually create or edit the CloudWatch agent
configuration file" in AWS's user guide. The agent asks nvidia-smi: where that fails or hangs nothing is told, and a
GPU that it does not list is missing. An interval below a minute makes metrics of high resolution.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sandbox.aws.metrics import Datum, Metric, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sandbox.aws.metrics import Metrics

_HEREDOC: Final = re.compile(r"cat > \S*cloudwatch-agent\.json <<'(\w+)'\n(.*?)\n\s*\1\n", re.DOTALL)
# The agent's names, each with the field of nvidia-smi behind it.
_FIELDS: Final[Mapping[str, str]] = {
    "utilization_gpu": "utilization.gpu",
    "temperature_gpu": "temperature.gpu",
    "power_draw": "power.draw",
    "memory_total": "memory.total",
    "memory_used": "memory.used",
    "pcie_link_gen_current": "pcie.link.gen.current",
    "pcie_link_width_current": "pcie.link.width.current",
}
_GROUP: Final = "AutoScalingGroupName"
_MINUTE: Final = 60


class UnsupportedAgentError(ValueError):
    """A configuration that the sandbox's agent could not follow: it refuses it where the real one would take it."""


class Node(Protocol):
    """What the agent finds on its node: the user data, the group, and nvidia-smi's rows (None: it does not answer)."""

    @property
    def instance_id(self) -> str: ...

    @property
    def group(self) -> str: ...

    @property
    def user_data(self) -> str: ...

    def gpus(self) -> Sequence[Mapping[str, str]] | None: ...


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The configuration, as far as it is about GPUs. `alone`: measurements told of the group only, not of each GPU."""

    namespace: str
    interval: int
    measurements: tuple[str, ...]
    alone: frozenset[str]


class AgentMetrics:
    """The agents of a Region's nodes. A node whose user data configure none has none."""

    def __init__(
        self,
        metrics: Metrics,
        region: str,
        nodes: Callable[[], Iterable[Node]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        self._region = region
        self._nodes = nodes
        self._configs: dict[str, AgentConfig | None] = {}
        self._begun = clock()
        self._told: dict[str, float] = {}
        for node in nodes():
            self._config(node)  # at once: what cannot be followed fails the boot

    def publish_when_due(self, now: float) -> None:
        """Tell what each node's GPUs say now, once an interval."""
        for node in self._nodes():
            config = self._config(node)
            if config is None:
                continue
            interval = now // config.interval
            if interval > self._told.get(node.instance_id, self._begun // config.interval):
                self._told[node.instance_id] = interval
                self._metrics.put(self._region, _data(node, config, now))

    def _config(self, node: Node) -> AgentConfig | None:
        if node.instance_id not in self._configs:
            self._configs[node.instance_id] = agent_config(node.user_data)
        return self._configs[node.instance_id]


def agent_config(user_data: str) -> AgentConfig | None:
    """The configuration in a script that writes one. Raises UnsupportedAgentError."""
    found = _HEREDOC.search(user_data)
    if found is None:
        return None
    document: dict[str, Any] = json.loads(found[2])
    metrics = document["metrics"]
    gpu = metrics["metrics_collected"]["nvidia_gpu"]
    measurements = tuple(gpu["measurement"])
    if unknown := set(measurements) - set(_FIELDS):
        raise UnsupportedAgentError(f"the sandbox's agent does not measure {', '.join(sorted(unknown))}")
    by_group = {"append_dimensions": {_GROUP: f"${{aws:{_GROUP}}}"}, "aggregation_dimensions": [[_GROUP]]}
    if any(metrics.get(key) != value for key, value in by_group.items()):
        raise UnsupportedAgentError(f"the sandbox's agent aggregates by {_GROUP} and by nothing else: {metrics}")
    known = {"namespace", "force_flush_interval", "metrics_collected", *by_group}
    known_of_gpu = {"measurement", "metrics_collection_interval", "drop_original_metrics"}
    if (
        more := (set(metrics) - known)
        | (set(gpu) - known_of_gpu)
        | (set(metrics["metrics_collected"]) - {"nvidia_gpu"})
    ):
        raise UnsupportedAgentError(f"the sandbox's agent does not know {', '.join(sorted(more))}")
    interval = int(gpu.get("metrics_collection_interval", _MINUTE))
    if int(metrics.get("force_flush_interval", _MINUTE)) > interval:
        raise UnsupportedAgentError("figures are told at once here: let force_flush_interval be the interval")
    dropped = frozenset(gpu.get("drop_original_metrics", ()))
    return AgentConfig(str(metrics.get("namespace", "CWAgent")), interval, measurements, dropped)


def _data(node: Node, config: AgentConfig, at: float) -> Iterator[Datum]:
    resolution = 1 if config.interval < _MINUTE else _MINUTE
    together: dict[str, Counter[float]] = {}
    for row in node.gpus() or ():
        for measurement in config.measurements:
            value = _number(row.get(_FIELDS[measurement], ""))
            if value is None:
                continue
            together.setdefault(measurement, Counter())[value] += 1
            if measurement not in config.alone:
                dimensions = {_GROUP: node.group, "index": row["index"], "name": row["name"]}
                metric = Metric.of(config.namespace, f"nvidia_smi_{measurement}", dimensions)
                yield Datum(metric, at, Summary.of({value: 1.0}), "None", resolution)
    for measurement, values in together.items():
        metric = Metric.of(config.namespace, f"nvidia_smi_{measurement}", {_GROUP: node.group})
        yield Datum(metric, at, Summary.of(values), "None", resolution)


def _number(cell: str) -> float | None:
    """`20730 MiB` is 20730; `[N/A]` and `[GPU is lost]` are nothing."""
    try:
        return float(cell.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return None
