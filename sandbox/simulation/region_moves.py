"""Standfast over the Regions: `region.decide`, as deployed, on what each vantage point would have seen.

A condemned Region is left as Route 53 follows the endpoints; a person brings its users back once it is well, and is
called wherever the decision is a page. A vantage point is as good as its Region's platform: while that is away it says
nothing, and no heartbeat comes. A Region that only watches is always there. What a blip keeps from one Region's watch
is no other's view, so it moves nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sandbox.simulation.script import HOUR
from sandbox.simulation.world import Look
from standfast import region
from standfast.health import Verdict
from standfast.region import RegionAction
from standfast.region_ports import Condemnation, Heartbeat, RegionRecord
from standfast.region_views import RegionEvidence
from standfast.stores import Sight
from standfast.watch import PASS_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.simulation.agenda import Event
    from sandbox.simulation.control import Control
    from sandbox.simulation.front import FrontDoor
    from sandbox.simulation.world import Region, World
    from standfast.fleet import FleetConfig

EVACUATED, RETURNED, CALLED = "Regions evacuated", "Regions returned", "pages of Regions"
AGAIN_SECONDS: Final = 30.0
"""A Region that fails and is not left is judged again after so long, when no time limit of the rules comes before."""
REQUESTS: Final = 100
"""A replica's worth of traffic, in requests at once: heartbeats count whole ones."""


class RegionMoves:
    """The watch of the Regions by each other, whoever of them is there to judge."""

    def __init__(self, world: World, controls: Mapping[str, Control], config: FleetConfig, door: FrontDoor) -> None:
        self.found: Counter[str] = Counter()
        self._world, self._controls, self._config, self._door = world, controls, config, door
        self._record = RegionRecord()
        self._since: dict[str, float] = {}
        self._beat_at: dict[str, float] = {}
        self._again: dict[str, Event] = {}
        self._called: set[str] = set()
        for each in world.regions.values():
            each.watchers.append(Look(self.look, each))

    def look(self, place: Region) -> None:
        """A Region changed: whether its entry serves, or whether anything is heard of it."""
        name, now = place.name, self._world.agenda.now
        if place.platform_away:
            self._beat_at.setdefault(name, now)
        else:
            self._beat_at.pop(name, None)
        if not _fails(place):
            self._since.pop(name, None)
            self._return_later(place)
        elif name not in self._since:
            self._since[name] = now
            self._judge_at(place, now + self._config.region_moves.least_failing_seconds)

    def _judge_at(self, place: Region, at: float) -> None:
        known = self._again.get(place.name)
        if known is not None:
            known.cancel()
        self._again[place.name] = self._world.agenda.at(at, lambda: self._judge(place))

    def _judge(self, place: Region) -> None:
        since, now = self._since.get(place.name), self._world.agenda.now
        if since is None or place.name in self._record.condemned:
            return
        evidence = self._evidence(place)
        if evidence is not None:
            decision = region.decide(place.name, evidence, self._config, now)
            if decision.action is RegionAction.EVACUATE:
                wait = self._world.rates["evacuate_seconds"]
                self._world.agenda.after(wait, lambda: self._evacuate(place, decision.reason))
                return
            if decision.action is RegionAction.PAGE:
                self._call_person(place)
        rules = self._config.region_moves
        silent_since = self._beat_at.get(place.name, now)
        limits = (
            silent_since + rules.heartbeat_seconds + PASS_SECONDS,  # a heartbeat of that age lives
            since + rules.failing_seconds,
            since + rules.mending_seconds,
            now + AGAIN_SECONDS,
        )
        self._judge_at(place, min(at for at in limits if at > now))

    def _evacuate(self, place: Region, reason: str) -> None:
        """What is over by now condemns nobody."""
        evidence = self._evidence(place)
        if evidence is None or region.why_no_more(place.name, evidence, self._config, self._world.agenda.now):
            if place.name in self._since:
                self._judge_at(place, self._world.agenda.now + AGAIN_SECONDS)
            return
        self._condemn(place, reason)

    def _condemn(self, place: Region, reason: str) -> None:
        now = self._world.agenda.now
        said = Condemnation(place.name, (), reason, f"{place.name}-evacuation", now, float("inf"), 0)
        self._record = replace(self._record, condemned={**self._record.condemned, place.name: said})
        self.found[EVACUATED] += 1
        self._door.condemn(place)

    def _evidence(self, place: Region) -> RegionEvidence | None:
        """What is known where this is judged: in any Region that stays and whose stack is there. None where none is."""
        world, now = self._world, self._world.agenda.now
        there = [name for name, each in world.regions.items() if not each.platform_away]
        vantages = [*there, *self._config.watchers]
        judges = [name for name in vantages if name != place.name]
        if not judges:
            return None
        sights = [self._sight(vantage, each, now) for vantage in vantages for each in world.regions.values()]
        beats = {name: self._heartbeat(each, now) for name, each in world.regions.items()}
        return RegionEvidence(judges[0], self._record, sights, beats)

    def _sight(self, vantage: str, place: Region, now: float) -> Sight:
        if place.name in self._since:
            return Sight(
                vantage, place.name, Verdict.UNHEALTHY, "its entry does not answer", now, self._since[place.name]
            )
        return Sight(vantage, place.name, Verdict.HEALTHY, "the entry answers for it", now)

    def _heartbeat(self, place: Region, now: float) -> Heartbeat:
        serving = place.serving
        crowd = sum(to == place.name for to in self._world.users.values())
        asked, carries = place.load * crowd, 0 if serving is None else serving.working
        mending = "a failover is at work" if self._controls[place.name].record.lease.holder else ""
        return Heartbeat(
            place.name,
            self._beat_at.get(place.name, now),
            serving=place.name not in self._since,
            mending=mending,
            requests=round(asked * REQUESTS),
            room=max(0, round((carries - asked) * REQUESTS)),
            saturated=self._controls[place.name].vantage.says_saturated(),
        )

    def _call_person(self, place: Region) -> None:
        """Paged once for a spell of failing."""
        if place.name in self._called:
            return
        self._called.add(place.name)
        self.found[CALLED] += 1
        self._world.agenda.after(self._world.rates["person_minutes"] * 60, lambda: self._person_acts(place))

    def _person_acts(self, place: Region) -> None:
        """Out of a Region that still fails, to whatever serves: a condemned Region that is well again is let back."""
        self._called.discard(place.name)
        if place.name not in self._since:
            return
        others = [each for name, each in self._world.regions.items() if name != place.name and not _fails(each)]
        for each in others:
            self._return(each)
        if others and place.name not in self._record.condemned:
            self._condemn(place, "a person saw it fail")

    def _return_later(self, place: Region) -> None:
        if place.name in self._record.condemned:
            self._world.agenda.after(self._world.rates["return_hours"] * HOUR, lambda: self._return_if_well(place))

    def _return_if_well(self, place: Region) -> None:
        if not _fails(place):
            self._return(place)

    def _return(self, place: Region) -> None:
        """Its users come back, in stages, without loss."""
        if place.name in self._record.condemned:
            left = {name: each for name, each in self._record.condemned.items() if name != place.name}
            self._record = replace(self._record, condemned=left)
            self.found[RETURNED] += 1
            self._door.lift(place)


def _fails(place: Region) -> bool:
    """Whether a canary through its entry fails, whichever target it meets; a crowd makes it late."""
    return bool(place.lost or place.stalls or not any(replica.works for replica in place.targets()))
