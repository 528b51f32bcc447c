"""What is known of a scope's paths: a canary to each replica and through the entry, and what came of the last ones.

Probes overlap: a pass may begin before the probes of the pass before have ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from standfast.health import Assessment, EndpointProbe, Evidence, Outcome, assess
from standfast.model_versions import expected_in

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from standfast.ports import Prober
    from standfast.stores import View

REMEMBERED = 12
"""Probes kept per path: more than the largest M of M-of-N."""
UNDER_WAY = 3
"""Probes of one path that may be under way at once: a deadline of 2 s at one a second, and the probe asked again."""
ONCE_MORE_SECONDS = 0.7
"""After two failures at once a third is asked so soon: what is over by then was a blink."""
LATE_SECONDS = 0.5
"""A path that answered sooner the last time is suspect by then: half of what a first token may take by default."""
PROBE_HEADER = "x-standfast-probe"
"""The header that the entry's probe rules route by; its value is the cluster id."""
COUNTED = ("Canaries", "CanariesFailed", "IdleCanaries", "IdleCanariesFailed")
"""What is counted of the canaries through the entry: those to clusters with traffic, and to clusters without."""
_ANSWERED_BADLY = frozenset({Outcome.BAD_STATUS, Outcome.SHED})


@dataclass(frozen=True, slots=True)
class Path:
    """One thing that is probed: a replica, or a cluster through the entry."""

    cluster_id: str
    replica_id: str
    url: str

    @property
    def is_entry(self) -> bool:
        return not self.replica_id


class Observation:
    """The probes of one scope. `failed` is called after each probe that failed: the verdict may have changed."""

    def __init__(self, scope_id: str, prober: Prober, failed: Callable[[], object]) -> None:
        self._scope_id = scope_id
        self._prober = prober
        self._failed = failed
        self._probes: dict[Path, deque[EndpointProbe]] = {}
        self._under_way: dict[Path, int] = defaultdict(int)
        self._counted: Counter[str] = Counter()
        self._blind_until = 0.0

    def begin_pass(
        self, view: View, spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
    ) -> list[asyncio.Task[None]]:
        """Begin a probe of every path that is not waiting for several already."""
        paths = list(_paths(self._scope_id, view))
        self._probes = {path: self._probes.get(path, deque(maxlen=REMEMBERED)) for path in paths}
        return [spawn(self._probe(path, view)) for path in paths if self._under_way[path] < UNDER_WAY]

    async def _probe(self, path: Path, view: View) -> None:
        """Probe once. A first failure is asked again at once, not a second later; so is a first lateness.

        Lateness is not waited out: two probes that hang side by side say in half the time what two in a row would say.
        A path that was late before is not asked twice a second: overload is no reason to ask more. One that is refused
        twice is asked a third time within the second (as HAProxy's `fastinter` does): that loads nobody.
        """
        known = self._probes[path]
        well = not self._under_way[path] and (not known or known[-1].passed)
        swift = not known or _seconds(known[-1]) < LATE_SECONDS
        async with asyncio.TaskGroup() as asking:
            probe = asking.create_task(self._ask(path, view))
            if well:
                await asyncio.wait({probe}, timeout=LATE_SECONDS if swift else None)
                if not probe.done() or not probe.result().passed:
                    again = asking.create_task(self._ask(path, view))
                    if probe.done():
                        await asyncio.sleep(ONCE_MORE_SECONDS)
                        if again.done() and not again.result().passed:
                            asking.create_task(self._ask(path, view))

    async def _ask(self, path: Path, view: View) -> EndpointProbe:
        """Ask once, and keep what came of it.

        The engine's counter is read once a probe has failed or is late: what moved between two readings tells a
        saturated engine from a wedged one. A probe that ends after its path is gone is forgotten with the path.
        """
        model = expected_in(view, path.cluster_id, path.replica_id).model
        headers = {PROBE_HEADER: path.cluster_id} if path.is_entry else None
        known = self._probes[path]
        suspect = (bool(known) and not known[-1].passed) or self._under_way[path] > 0
        self._under_way[path] += 1
        try:
            probe = await self._prober.ask(
                path.url, model.name, model.canary, headers=headers, progress=suspect and not path.is_entry
            )
        finally:
            self._under_way[path] -= 1
        known.append(probe)
        if path.is_entry:
            self._count(probe, has_traffic=bool(view.scope.desired.weights.get(path.cluster_id)))
        if not probe.passed:
            self._failed()
        return probe

    def _count(self, probe: EndpointProbe, *, has_traffic: bool) -> None:
        """For the ledger. A refused API key is the canary's fault and no user's.

        Of a cluster without traffic a canary has failed when the load balancer counted a failure, for it is to be taken
        out of that count; of one with traffic when a user in its place would have got no answer.
        """
        bad = (
            not probe.passed and probe.outcome is not Outcome.DENIED
            if has_traffic
            else probe.outcome in _ANSWERED_BADLY
        )
        kind = "Canaries" if has_traffic else "IdleCanaries"
        self._counted.update({kind: 1, f"{kind}Failed": int(bad)})

    def take_counted(self) -> dict[str, int]:
        """What was counted since the last time, each of COUNTED."""
        counted, self._counted = self._counted, Counter()
        return {name: counted[name] for name in COUNTED}

    def assessments(self, view: View, now: float, *, controls_pass: bool) -> dict[str, Assessment]:
        """Cluster id -> the judgement of all that was probed so far."""
        config = view.applied.config
        return {
            cluster_id: assess(
                cluster_id,
                self._known_of(cluster_id, controls_pass=controls_pass),
                cluster.replicas,
                config.detection,
                now,
            )
            for cluster_id, cluster in sorted(config.region(self._scope_id).clusters.items())
        }

    def see_again(self, now: float) -> None:
        """This vantage point was blind until now: what failed until then says nothing of the fleet (law 4)."""
        self._blind_until = now

    @property
    def all_answered(self) -> bool:
        """Whether the last probe of every path passed."""
        return all(probes and probes[-1].passed for probes in self._probes.values())

    def is_settled(self, view: View) -> bool:
        """Whether every path either answered the last time or was asked as often as it takes to say that it is down."""
        failures = view.applied.config.detection.failures
        return all(probes and (probes[-1].passed or len(probes) >= failures) for probes in self._probes.values())

    def _known_of(self, cluster_id: str, *, controls_pass: bool) -> Evidence:
        paths = [path for path in self._probes if path.cluster_id == cluster_id]
        return Evidence(
            replicas={path.replica_id: self._in_order(path) for path in paths if not path.is_entry},
            entry=[probe for path in paths if path.is_entry for probe in self._in_order(path)],
            controls_pass=controls_pass,
        )

    def _in_order(self, path: Path) -> list[EndpointProbe]:
        """Overlapping probes end out of order; they are judged in the order in which they were asked.

        Without those that were asked while this vantage point was blind, and failed.
        """
        told = [probe for probe in self._probes[path] if probe.passed or probe.started_at > self._blind_until]
        return sorted(told, key=lambda probe: probe.started_at)


def _seconds(probe: EndpointProbe) -> float:
    return probe.ended_at - probe.started_at


def _paths(scope_id: str, view: View) -> Iterable[Path]:
    region = view.applied.config.region(scope_id)
    for cluster_id in sorted(region.clusters):
        for address in view.replicas.get(cluster_id, ()):
            yield Path(cluster_id, address.replica_id, address.url)
        yield Path(cluster_id, "", region.entry.url)
