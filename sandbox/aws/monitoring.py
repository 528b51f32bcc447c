"""CloudWatch of all Regions, put together: who publishes, what is kept, which alarms are evaluated, and when.

Nothing here sets an alarm's state but its metrics.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.aws import alarms, metrics_api
from sandbox.aws.agent_metrics import AgentMetrics
from sandbox.aws.embedded_metrics import MalformedMetricError, parse
from sandbox.aws.entry_metrics import PERIOD_SECONDS, EntryMetrics
from sandbox.aws.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.aws.agent_metrics import Node
    from sandbox.aws.entry_metrics import Door

_TICK_SECONDS: Final = 0.25

logger = logging.getLogger("sandbox.monitoring")


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A line that meant to hold metrics: CloudWatch Logs would drop it in silence."""

    function: str
    reason: str
    line: str


class Monitoring:
    """Installs the seams at once; publishes and evaluates from `start` on. Safe to use from several threads.

    `clock` gives seconds of the epoch. Where `is_lost` says that a Region is, nothing happens in it. Its tests call
    `tick` and never `start`.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, *, is_lost: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._clock = clock
        self._is_lost = is_lost
        self.metrics = Metrics(clock)
        self.alarms = alarms.Alarms(self.metrics, is_lost)
        self._publishers: list[tuple[str, EntryMetrics | AgentMetrics]] = []
        self._malformed: list[MalformedLine] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        with ExitStack() as stack:
            stack.callback(metrics_api.install(self.metrics))
            stack.callback(alarms.install())
            self._seams = stack.pop_all()

    def hear(self, function_arn: str, line: str) -> None:
        """A line that a function wrote to standard output: its metrics go to the function's Region. Raises nothing."""
        try:
            data = parse(line, self._clock())
        except MalformedMetricError as error:
            logger.warning("%s wrote metrics that CloudWatch would drop: %s", function_arn, error)
            self._malformed.append(MalformedLine(function_arn.rpartition(":")[2], str(error), line))
            return
        if data:
            self.metrics.put(function_arn.split(":")[3], data)

    def malformed(self) -> tuple[MalformedLine, ...]:
        """Every line so far whose metrics were dropped."""
        return tuple(self._malformed)

    def watch_entry(
        self, region: str, load_balancer_arn: str, door: Door, *, period_seconds: float = PERIOD_SECONDS
    ) -> None:
        """Publish a load balancer's metrics from now on: what its front door counts."""
        entry = EntryMetrics(
            self.metrics, region, load_balancer_arn, door, clock=self._clock, period_seconds=period_seconds
        )
        self._publishers.append((region, entry))

    def watch_nodes(self, region: str, nodes: Callable[[], Iterable[Node]]) -> None:
        """Publish from now on what the CloudWatch agents of a Region's nodes tell of their GPUs."""
        self._publishers.append((region, AgentMetrics(self.metrics, region, nodes, clock=self._clock)))

    def tick(self) -> None:
        """Do what is due: first publish, then evaluate. A front door that does not answer publishes nothing."""
        now = self._clock()
        for region, each in tuple(self._publishers):
            if self._is_lost(region):
                continue
            try:
                each.publish_when_due(now)
            except (OSError, TimeoutError) as error:
                logger.warning("nothing is published, a front door or a node does not answer: %s", error)
        self.alarms.evaluate(now)

    def start(self) -> None:
        """Begin to publish and to evaluate. Does nothing when it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="CloudWatch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End, and take the seams back. May be called again."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
        self._seams.close()

    def _run(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # whatever it is: no alarm would be evaluated again, and nobody would notice
                logger.exception("CloudWatch stumbled")
