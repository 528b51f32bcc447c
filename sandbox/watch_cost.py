"""What a pass of the watch costs while nothing happens: `python watch_cost.py FLEET`, in the functions' interpreter.

FLEET is JSON: {"config": <FleetConfig>, "replicas": {cluster id: [url, ...]}}. The real Watch asks real servers; the
state table is in memory, so what is measured is the watch itself. Prints {"passes", "cpu_milliseconds",
"megabytes"}: processor time per pass (user and system), and the memory of the process at its largest.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from standfast import bootstrap
from standfast.brake import Brake, Switch
from standfast.configuration import first_record
from standfast.fleet import Automation, FleetConfig, ReplicaAddress
from standfast.stores import AppliedConfig, View
from standfast.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.health import Assessment
    from standfast.lease import HolderState
    from standfast.stores import Sight

WARM_SECONDS, MEASURED_SECONDS = 3.0, 10.0
SCOPE: Final = "us-east-1"


class KnownState:
    """WatchStore, EvidenceStore and FleetStore that know one state and forget what they are told."""

    def __init__(self, known: View) -> None:
        self._known = known

    def view(self) -> View:
        return self._known

    def relay(self) -> int:
        return 1

    def enter(self) -> int:
        return 1

    def take_over(self, generation: int) -> None:
        """There is no other run."""

    def write_assessments(self, assessments: Sequence[Assessment]) -> None:
        """Nobody reads them."""

    def write_replicas(self, replicas: Mapping[str, Sequence[ReplicaAddress]], *, now: float) -> None:
        """The replicas are known."""

    def read_brake(self) -> Brake:
        return Brake(Switch(Automation.RUN, "a measurement", "bench", 0.0))

    def glance_at_brake(self) -> Brake:
        return self.read_brake()

    def write_switch(self, switch: Switch) -> None:
        """It stays on."""

    def write_sight(self, sight: Sight) -> None:
        """Nobody reads it."""

    def sights(self) -> Sequence[Sight]:
        return ()


class NoExecutions:
    """Executions in a healthy fleet: there are none, and the first would spoil the measurement."""

    def holder_state(self, execution_arn: str) -> HolderState:
        raise RuntimeError(f"{execution_arn}: no lease is held in a healthy fleet")

    def start_failover(self, name: str, payload: Mapping[str, object]) -> bool:
        raise RuntimeError(f"{name}: a failover of a healthy fleet: {payload.get('reason')}")


def known_state(fleet: Mapping[str, Any]) -> KnownState:
    """The state of a fleet of which nothing is known but its replicas."""
    config = FleetConfig.parse(fleet["config"])
    replicas = {
        cluster_id: [ReplicaAddress(f"{cluster_id}-{number}", cluster_id, url) for number, url in enumerate(urls)]
        for cluster_id, urls in fleet["replicas"].items()
    }
    scope = first_record(SCOPE, config, time.time())
    return KnownState(View(scope=scope, applied=AppliedConfig(1, config), replicas=replicas, assessments={}, relay=1))


async def measure(state: KnownState) -> dict[str, float]:
    """Let it get warm, then count passes and processor time."""
    prober = bootstrap.prober(state.view().applied.config.model)
    ports = (state, state, state, NoExecutions(), prober, bootstrap.clock(), bootstrap.metrics())
    watch = Watch(SCOPE, *ports)
    await watch.run(time.time() + WARM_SECONDS)
    spent = time.process_time()
    report = await watch.run(time.time() + MEASURED_SECONDS)
    spent = time.process_time() - spent
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "passes": report.passes,
        "cpu_milliseconds": round(spent * 1000 / report.passes, 2),
        "megabytes": round(largest / (1024 if sys.platform != "darwin" else 1024 * 1024), 1),
    }


def main() -> None:
    """One measurement."""
    fleet = json.loads(sys.argv[1])
    print(json.dumps(asyncio.run(measure(known_state(fleet)))))


if __name__ == "__main__":
    main()
