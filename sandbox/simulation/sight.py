"""What the watch sees of one cluster: canaries as `standfast.observation` asks them, judged by `standfast.health`.

The watch asks each second. Here it asks only while something new may come of it: from a change until every path was
asked as often as a judgement looks back, and until the entry's luck (which target a request meets) can change no
decision. In between, what it knows is what it would see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sandbox.simulation.ills import Mode
from sandbox.simulation.world import entry_modes
from standfast.health import LATE_PROBES, Assessment, EndpointProbe, Evidence, Outcome, assess
from standfast.observation import LATE_SECONDS, ONCE_MORE_SECONDS, REMEMBERED, UNDER_WAY
from standfast.watch import PASS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from sandbox.simulation.agenda import Agenda, Event
    from sandbox.simulation.world import Cluster, Region, World
    from standfast.fleet import FleetConfig

    class Decider(Protocol):
        """Who decides by what is seen."""

        def is_active(self, name: str) -> bool:
            """Whether it decides on this cluster now."""
            ...

        def judge(self, name: str) -> None:
            """A moment at which the deployed watch would decide."""
            ...

        def matters(self, judged: Sequence[Assessment]) -> bool:
            """Whether assessments that differ by luck at the entry lead to different acts."""
            ...


_OUTCOMES: Final = {
    Mode.ANSWERS: Outcome.ANSWERED,
    Mode.REFUSES: Outcome.REFUSED,
    Mode.HANGS: Outcome.TIMED_OUT,
}
_BY_ENTRY: Final = _OUTCOMES | {Mode.REFUSES: Outcome.BAD_STATUS}
"""Through the load balancer a refused connection is a 502."""
_MOMENT: Final = 1e-6
"""Just after the end of a probe."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How a path answers just now. `progress`: its engine's counter moves, stands (False), or is silent."""

    outcome: Outcome
    progress: bool | None = None

    @property
    def hangs(self) -> bool:
        """Whether a probe takes its whole deadline."""
        return self.outcome is Outcome.TIMED_OUT


WELL: Final = Seen(Outcome.ANSWERED)


class Vantage:
    """What all sights of a Region's watch share: its passes, whether it runs, whether it is blind."""

    def __init__(self, world: World, region: Region, config: FleetConfig, pass_seconds: float = PASS_SECONDS) -> None:
        self.world, self.region, self.config, self.pass_seconds = world, region, config, pass_seconds
        self.phase = world.draw(5, region.number) * pass_seconds
        limits = config.detection
        self.enough = max(limits.failures, limits.entry_failures, LATE_PROBES)
        """Probes that a judgement looks back on."""

    @property
    def agenda(self) -> Agenda:
        """Simulated time."""
        return self.world.agenda

    @property
    def runs(self) -> bool:
        """Whether there is a watch at all."""
        return not (self.region.platform_away or self.region.watch_ended)

    @property
    def controls_pass(self) -> bool:
        """Whether its control probe does."""
        share = self.world.rates["blip_blind_share"]
        return not any(blip.lots[0] < share for blip in self.region.blips)

    def next_pass(self, now: float) -> float:
        """The first pass that begins at or after a moment."""
        passed = (now - self.phase) / self.pass_seconds
        whole = int(passed)
        return self.phase + (whole if whole >= passed else whole + 1) * self.pass_seconds

    def is_cut_off(self, cluster: Cluster) -> bool:
        """Whether no probe of the watch reaches a cluster."""
        share, serves = self.world.rates["blip_standby_share"], cluster.name == self.region.traffic
        return any(serves or blip.lots[1] < share for blip in self.region.blips)

    def is_denied(self) -> bool:
        """Whether another Region's watch, which no blip of this one touches, sees users served here."""
        serving = self.region.serving
        return bool(
            not self.region.stalls
            and serving is not None
            and all(mode is Mode.ANSWERS for mode in entry_modes(serving))
        )

    def replica(self, cluster: Cluster, place: int) -> Seen:
        """How a replica answers a canary just now."""
        mode = cluster.replicas[place].mode
        if self.is_cut_off(cluster):
            return Seen(Outcome.TIMED_OUT)
        if mode is Mode.ANSWERS:
            return self._crowded() if cluster.name == self.region.traffic and self.region.stalls else WELL
        return Seen(_OUTCOMES[mode], False if mode is Mode.HANGS else None)

    def entry(self, cluster: Cluster, drawn: float) -> Seen:
        """How the entry answers a canary for a cluster just now."""
        modes = entry_modes(cluster)
        return self.by_entry(cluster, modes[int(drawn * len(modes))])

    def by_entry(self, cluster: Cluster, mode: Mode) -> Seen:
        """How the entry answers when a request meets a target of that mode."""
        crowded = mode is Mode.ANSWERS and cluster.name == self.region.traffic and self.region.stalls
        if crowded or self.is_cut_off(cluster):
            return Seen(Outcome.TIMED_OUT)
        return Seen(_BY_ENTRY[mode])

    def _crowded(self) -> Seen:
        return Seen(Outcome.TIMED_OUT, True if self.says_saturated() else None)

    def says_saturated(self) -> str:
        """What the Region says of a crowd whose engines tell that they work; empty where there is none."""
        share = self.world.rates["stall_silent_share"]
        silent = any(stall.lots[1] < share for stall in self.region.stalls)
        return "a crowd" if self.region.stalls and not silent else ""


class Sight:
    """Of one cluster. While nothing is decided on it, it is looked at only when somebody asks."""

    def __init__(self, vantage: Vantage, cluster: Cluster, decider: Decider) -> None:
        self._vantage, self._cluster, self._decider = vantage, cluster, decider
        self._places = range(cluster.shape.replicas + 1)
        self._paths: list[list[EndpointProbe]] = [[] for _ in self._places]
        """Of each replica, and of the entry at the end; in the order in which they were asked."""
        self._step: Event | None = None
        self._settled = [WELL for _ in self._places]
        self._passes = 0
        self._key = cluster.replicas[0].key

    def wake(self, *, all_anew: bool) -> None:
        """Something changed that it may see; `all_anew`: something else than one replica."""
        vantage = self._vantage
        self._passes = 0
        if self._step is not None:
            return
        seen = [self._now(place) for place in self._places]
        if not self._decider.is_active(self._cluster.name) or (not all_anew and not self._may_matter(seen)):
            self._settled = seen
            return
        now = vantage.agenda.now
        self._paths = [self._alike(before, now) for before in self._settled]
        self._step = vantage.agenda.at(vantage.next_pass(now), self._look)

    def _may_matter(self, seen: Sequence[Seen]) -> bool:
        """Whether anything would be done at the worst that passes could bring: bad news of before and of now together,
        and an entry that fails."""
        if all(map(_passed, seen)):
            return False
        now = self._vantage.agenda.now
        worst = [each if _passed(before) else before for before, each in zip(self._settled, seen, strict=True)]
        worst[-1] = Seen(Outcome.BAD_STATUS)
        judged = [
            self._assess([self._alike(each, now) for each in paths], now) for paths in ([WELL] * len(worst), worst)
        ]
        return self._decider.matters(judged)

    def forget(self) -> None:
        """The watch ended; one that begins knows nothing."""
        if self._step is not None:
            self._step.cancel()
            self._step = None
        self._paths = [[] for _ in self._paths]

    def begin(self) -> None:
        """A watch begins."""
        self._passes = 0
        if self._step is None and self._decider.is_active(self._cluster.name):
            self._step = self._vantage.agenda.at(self._vantage.next_pass(self._vantage.agenda.now), self._look)

    def assess(self) -> Assessment:
        """The judgement of what is known, as the watch writes it."""
        now = self._vantage.agenda.now
        return self._assess(self._known(now), now)

    def _assess(self, paths: Sequence[Sequence[EndpointProbe]], now: float) -> Assessment:
        replicas = {f"{place}": paths[place] for place in range(len(paths) - 1)}
        evidence = Evidence(replicas, paths[-1], controls_pass=self._vantage.controls_pass)
        expected, limits = self._cluster.shape.replicas, self._vantage.config.detection
        return assess(self._cluster.name, evidence, expected, limits, now)

    def _known(self, now: float) -> list[list[EndpointProbe]]:
        if self._step is None and self._vantage.runs:
            return [self._alike(self._now(place), now) for place in self._places]
        return [[probe for probe in path if probe.ended_at <= now] for path in self._paths]

    def _now(self, place: int) -> Seen:
        vantage = self._vantage
        if place < len(self._paths) - 1:
            return vantage.replica(self._cluster, place)
        return vantage.entry(self._cluster, vantage.world.draw(6, self._key, int(vantage.agenda.now * 16)))

    def _alike(self, seen: Seen, now: float) -> list[EndpointProbe]:
        """What passes left behind that all saw the same."""
        vantage, took = self._vantage, self._took(seen)
        last = vantage.next_pass(now) - vantage.pass_seconds
        if _passed(seen):  # nothing before an answer counts
            return [self._probe(seen, last - vantage.pass_seconds, suspect=False)]
        number = vantage.enough + int(took)
        first = last - number * vantage.pass_seconds
        begun = (first + place * vantage.pass_seconds for place in range(number + 1))
        return [self._probe(seen, at, suspect=True) for at in begun if at + took <= now]

    def _took(self, seen: Seen) -> float:
        return (
            self._vantage.config.model.canary.deadline_seconds
            if seen.hangs
            else self._vantage.world.rates["answer_seconds"]
        )

    def _probe(self, seen: Seen, at: float, *, suspect: bool) -> EndpointProbe:
        progress = None
        if suspect and seen.progress is not None:
            progress = at if seen.progress else 0.0
        return EndpointProbe(at, at + self._took(seen), seen.outcome, progress=progress)

    def _look(self) -> None:
        """One pass: what Observation.begin_pass asks, and what it asks again."""
        vantage, now = self._vantage, self._vantage.agenda.now
        ends: set[float] = set()
        for place, path in enumerate(self._paths):
            del path[:-REMEMBERED]
            for probe in self._ask(path, self._now(place), now):
                path.append(probe)
                if not _passed_probe(probe):
                    ends.add(probe.ended_at)
        self._passes += 1
        for end in ends:
            vantage.agenda.at(end + _MOMENT, self._judge)
        if self._is_settled(now):
            self._settled = [self._now(place) for place in self._places]
            self._step = None
        else:
            self._step = vantage.agenda.at(now + vantage.pass_seconds, self._look)
        if self._passes <= 2:  # later nothing is new at the beginning of a pass: bad news comes at the end of a probe
            self._judge()

    def _judge(self) -> None:
        self._decider.judge(self._cluster.name)

    def _ask(self, path: Sequence[EndpointProbe], seen: Seen, now: float) -> list[EndpointProbe]:
        under_way = sum(probe.ended_at > now for probe in path)
        if under_way >= UNDER_WAY:
            return []
        known = max((probe for probe in path if probe.ended_at <= now), key=lambda probe: probe.ended_at, default=None)
        passed = known is None or _passed_probe(known)
        first = self._probe(seen, now, suspect=not passed or under_way > 0)
        if under_way or not passed or _passed(seen):
            return [first]
        swift = known is None or known.ended_at - known.started_at < LATE_SECONDS
        again_at = min(first.ended_at, now + LATE_SECONDS) if swift else first.ended_at
        asked = [first, self._probe(seen, again_at, suspect=True)]
        if first.ended_at <= again_at and asked[1].ended_at <= again_at + ONCE_MORE_SECONDS:
            asked.append(self._probe(seen, again_at + ONCE_MORE_SECONDS, suspect=True))
        return asked

    def _is_settled(self, now: float) -> bool:
        """Whether another pass would bring nothing new."""
        vantage = self._vantage
        if self._passes <= vantage.enough:
            return False
        by_entry = {vantage.by_entry(self._cluster, mode) for mode in entry_modes(self._cluster)}
        luck = len(by_entry) > 1
        for place, path in enumerate(self._paths[:-1] if luck else self._paths):
            outcome = self._now(place).outcome
            if outcome is Outcome.ANSWERED and path and _passed_probe(path[-1]):
                continue
            ended = [probe for probe in path if probe.ended_at <= now][-vantage.enough :]
            if len(ended) < vantage.enough or any(probe.outcome is not outcome for probe in ended):
                return False
        if not luck:
            return True
        known = self._known(now)[:-1]
        judged = [self._assess([*known, self._alike(seen, now)], now) for seen in by_entry]
        return not self._decider.matters(judged)


def _passed(seen: Seen) -> bool:
    return seen.outcome is Outcome.ANSWERED


def _passed_probe(probe: EndpointProbe) -> bool:
    return probe.outcome is Outcome.ANSWERED
