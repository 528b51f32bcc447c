"""The decision core of Regions under random partitions, in simulated time: can two hands condemn two Regions?

`standfast.region` judges, `standfast.region_moving` writes, on a table that behaves as DynamoDB documents under
partitions. What breaks is drawn from a seed: entries, stacks, the links between Regions (of the table, and of the
users' path one way), clocks that differ, answers that are lost after their write, executions that crash or stall
between their steps. Nothing is told to the decision core but what it would read.
"""

from __future__ import annotations

import json
import logging
import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from sandbox.plan import ROOT
from sandbox.replicated_record import ReplicatedRecord
from standfast import region, region_moving, region_record, region_views
from standfast.errors import NoPeerProvenError, StandfastError
from standfast.fleet import FleetConfig
from standfast.health import Verdict
from standfast.region_ports import Heartbeat, RegionPurpose
from standfast.region_rules import BEAT_SECONDS, VOICES
from standfast.region_watch import WRITE_SECONDS
from standfast.stores import Sight

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from rich.console import Console

    from standfast.region_ports import RegionRecord

SEEDS: Final = 200
SECONDS: Final = 900
"""Of each run: some fifteen faults."""
FAILURES: Final = 2
"""Probes through an entry that must fail: Detection.entry_failures."""
SKEW: Final = 0.5
"""Clocks differ by up to so many seconds: AWS keeps them within milliseconds."""
LOST_ANSWERS: Final = 0.02
CRASHES: Final = 0.05


@dataclass
class Tally:
    """What a run, or all of them, came to.

    `double_decisions`: moments at which no Region with clusters was left uncondemned, by the record or by two of the
    voices; tokens in two hands; changes under a stale token. `needless`: a Region was condemned that served everybody.
    """

    seeds: int = 0
    double_decisions: int = 0
    evacuations: int = 0
    needless: int = 0
    refused: int = 0
    paged: int = 0
    crashed: int = 0
    returned: int = 0

    def add(self, other: Tally) -> None:
        """Sum up."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass
class Site:
    """One Region: what of it works, and what its stack remembers. `clock` is how far its clock is off."""

    name: str
    clock: float
    entry: bool = True
    stack: bool = True
    failed: dict[str, int] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    written: dict[str, tuple[Verdict, float]] = field(default_factory=dict)
    beat_at: float = 0.0


class World:
    """A fleet in simulated time."""

    def __init__(self, seed: int, config: FleetConfig) -> None:
        self.random = random.Random(f"regions-{seed}")
        self.config = config
        self.now = 1_800_000_000.0
        self.table = ReplicatedRecord(lambda: self.random.random() < LOST_ANSWERS)
        names = sorted({*config.regions, *config.watchers})
        self.sites = {name: Site(name, self.random.uniform(-SKEW, SKEW)) for name in names}
        self.unseen: set[tuple[str, str]] = set()
        self.cut: set[str] = set()
        self.running: dict[str, Generator[float, None, None]] = {}
        self.wake: dict[str, float] = {}
        self.tally = Tally(seeds=1)
        self._holders: dict[int, str] = {}
        self._dark = False
        self._paged: set[str] = set()
        self._known: frozenset[str] = frozenset()

    def run(self, seconds: int = SECONDS) -> Tally:
        """All of it, a second at a time."""
        for second in range(seconds):
            if second > 20 and self.random.random() < 0.035:
                self._break_or_mend()
            for site in self.sites.values():
                if site.stack:
                    self._pass(site)
            for name in list(self.running):
                self._step(name)
            self._check()
            self.now += 1.0
        self.tally.double_decisions += self.table.stale_writes
        return self.tally

    def _break_or_mend(self) -> None:
        """One thing breaks, or is mended: what is broken is mended twice as readily."""
        chance, names = self.random, list(self.sites)
        site = self.sites[chance.choice(names)]
        match chance.choice(["entry", "stack", "region", "cut", "unseen", "blind"]):
            case "entry" if site.name in self.config.regions:
                site.entry = not site.entry
            case "stack":
                site.stack = not site.stack
            case "region":
                site.entry = site.stack = not (site.entry and site.stack)
                self._connect(site.name, cut=not site.stack)
            case "cut":
                self._connect(site.name, cut=site.name not in self.cut)
            case "unseen":
                pair = site.name, chance.choice(names)
                self.unseen ^= {pair}
            case "blind":
                pairs = {(site.name, other) for other in names if other != site.name}
                self.unseen = self.unseen - pairs if pairs <= self.unseen else self.unseen | pairs
        for each in self.sites.values():
            if chance.random() < 0.25:
                each.entry = each.stack = True
                self._connect(each.name, cut=False)
                self.unseen = {pair for pair in self.unseen if pair[0] != each.name}

    def _connect(self, name: str, *, cut: bool) -> None:
        (self.cut.add if cut else self.cut.discard)(name)
        alone = len(self.sites) - len(self.cut) < 2
        for each in self.sites:
            isolated = each in self.cut or alone
            (self.table.isolate if isolated else self.table.rejoin)(each)

    def _pass(self, site: Site) -> None:
        """What the watch of a Region does each second."""
        now, table = self.now + site.clock, self.table.at(site.name)
        answers = {name: self._answers(site.name, name) for name in self.config.regions}
        sees_out = any(name != site.name and self._reaches(site.name, name) for name in self.sites)
        for name, answered in answers.items():
            self._look(site, name, answered=answered, sees_out=sees_out, now=now)
        if now - site.beat_at >= BEAT_SECONDS:
            beat = Heartbeat(site.name, now, site.name in self.config.regions and site.entry, "as simulated")
            try:
                table.write_heartbeat(beat)
                site.beat_at = now
            except StandfastError:
                site.beat_at = now - BEAT_SECONDS + 1
        region_moving.keep_fresh(table, now)
        for name, failed in site.failed.items():
            if failed >= FAILURES:
                self._judge(site, name, now)
        self._maybe_return(site, now)

    def _answers(self, vantage: str, name: str) -> bool:
        return self.sites[name].entry and self._reaches(vantage, name)

    def _reaches(self, vantage: str, name: str) -> bool:
        return (vantage, name) not in self.unseen and (vantage == name or not self.cut & {vantage, name})

    def _look(self, site: Site, name: str, *, answered: bool, sees_out: bool, now: float) -> None:
        if answered:
            site.failed[name], verdict, why = 0, Verdict.HEALTHY, "the entry answers for it"
        else:
            site.failed[name] = site.failed.get(name, 0) + 1
            if site.failed[name] == 1:
                site.since[name] = now
            verdict = Verdict.UNHEALTHY if site.failed[name] >= FAILURES else Verdict.DEGRADED
            why = f"through the entry {site.failed[name]} probes failed"
            if name != site.name and not sees_out:
                verdict, why = Verdict.UNKNOWN, "this vantage point is blind: its control probes fail too"
        before = site.written.get(name)
        if before is not None and before[0] is verdict and now - before[1] < WRITE_SECONDS:
            return
        since = None if answered else site.since[name]
        try:
            self.table.at(site.name).write_sight(Sight(site.name, name, verdict, why, now, since))
            site.written[name] = (verdict, now)
        except StandfastError:
            site.written.pop(name, None)

    def _judge(self, site: Site, name: str, now: float) -> None:
        table = self.table.at(site.name)
        beats = {beat.region: beat for beat in table.heartbeats()}
        known = region_views.RegionEvidence(site.name, table.glance_at_regions(), table.sights(), beats)
        found = region.decide(name, known, self.config, now)
        if found.action is region.RegionAction.PAGE and name not in self._paged:
            self._paged.add(name)
            self.tally.paged += 1
        if found.action is region.RegionAction.EVACUATE:
            execution = f"{site.name}:{found.incident_id}"
            if execution not in self.wake:
                self.wake[execution] = self.now
                self.running[execution] = self._evacuate(site, execution, found)

    def _evacuate(self, site: Site, execution: str, found: region.RegionDecision) -> Generator[float, None, None]:
        """`region_failover`, state by state, in its Region: between two states any time may pass."""
        table, rules = self.table.at(site.name), self.config.region_moves
        lease = region_moving.take(table, execution, RegionPurpose.EVACUATE, self.now + site.clock)
        yield self._delay()
        beats = {beat.region: beat for beat in table.heartbeats()}
        known = region_views.RegionEvidence(site.name, table.read_regions(), table.sights(), beats)
        peers = region_views.peers_of(found.region, known, self.config, self.now + site.clock)
        proven = self._canaries(site, peers.proven)
        yield self._delay()
        if not proven:
            self.tally.refused += 1
            region_moving.give_back(
                table, lease.token, failed=True, retry_seconds=rules.retry_seconds, now=self.now + site.clock
            )
            return
        now = self.now + site.clock
        known = region_views.RegionEvidence(site.name, table.read_regions(), table.sights(), beats)
        if not region.why_no_more(found.region, known, self.config, now):
            region_moving.change(table, lease.token, self._condemned(found, now), now)
        yield self._delay()
        region_moving.give_back(table, lease.token, failed=False, retry_seconds=0, now=self.now + site.clock)

    def _canaries(self, site: Site, peers: tuple[str, ...]) -> list[str]:
        """Which peers answer a canary now."""
        return [peer for peer in peers if self._answers(site.name, peer)]

    def _condemned(self, found: region.RegionDecision, now: float) -> region_moving.Made:
        return lambda record: region_record.condemn(
            record,
            found.region,
            serving=set(self.config.regions),
            by=found.voices,
            reason=found.reason,
            incident_id=found.incident_id,
            now=now,
        )

    def _maybe_return(self, site: Site, now: float) -> None:
        """A person brings a Region back that serves again."""
        record = self.table.at(site.name).glance_at_regions()
        for name in sorted(record.condemned_now(now)):
            if self.sites[name].entry and site.name != name and self.random.random() < 0.01:
                execution = f"{site.name}:return-{name}-{self.now:.0f}"
                self.wake[execution] = self.now
                self.running[execution] = self._return(site, execution, name)

    def _return(self, site: Site, execution: str, name: str) -> Generator[float, None, None]:
        table = self.table.at(site.name)
        lease = region_moving.take(table, execution, RegionPurpose.RETURN, self.now + site.clock)
        yield self._delay()
        now = self.now + site.clock
        region_moving.change(
            table, lease.token, lambda record: region_record.lift(record, name, reason="it is back", now=now), now
        )
        self.tally.returned += 1
        yield self._delay()
        region_moving.give_back(table, lease.token, failed=False, retry_seconds=0, now=self.now + site.clock)

    def _step(self, execution: str) -> None:
        """One state of an execution, if its Region's stack works and its time has come."""
        site = self.sites[execution.partition(":")[0]]
        if not site.stack or self.now < self.wake[execution]:
            return
        if self.random.random() < CRASHES:
            self.tally.crashed += 1
            del self.running[execution]
            return
        try:
            self.wake[execution] = self.now + next(self.running[execution])
        except StopIteration:
            del self.running[execution]
        except NoPeerProvenError:
            self.tally.refused += 1
            del self.running[execution]
        except StandfastError:
            del self.running[execution]

    def _delay(self) -> float:
        """Between two states: mostly a moment; now and then longer than the lease holds."""
        return self.random.choice([0.0, 1.0, 1.0, 2.0, 5.0, 20.0, 90.0, 200.0])

    def _check(self) -> None:
        record, serving = self.table.shared.record, set(self.config.regions)
        condemned = frozenset(record.condemned_now(self.now))
        for name in condemned - self._known:
            self.tally.evacuations += 1
            self.tally.needless += all(self._answers(each, name) for each in self.sites)
        self._known = condemned
        dark = serving <= condemned or serving <= self._voiced()
        self.tally.double_decisions += dark and not self._dark
        self._dark = dark
        for token, holder in self.table.grants.items():
            self.tally.double_decisions += self._holders.setdefault(token, holder) != holder

    def _voiced(self) -> set[str]:
        """What the edge would leave: Regions that two endpoints condemn, each by its own replica and clock."""
        said: dict[str, int] = {}
        for site in self.sites.values():
            glanced: RegionRecord = self.table.at(site.name).glance_at_regions()
            for name in glanced.condemned_now(self.now + site.clock):
                said[name] = said.get(name, 0) + site.stack
        return {name for name, voices in said.items() if voices >= VOICES}


def fleets() -> Mapping[str, FleetConfig]:
    """Two Regions that serve and one that watches, as the example's; and the same three, all serving."""
    watched = yaml.safe_load((ROOT / "infrastructure" / "fleet.example.yaml").read_text(encoding="utf-8"))
    watcher = watched["watchers"][0]
    serving = json.loads(json.dumps(watched["regions"][min(watched["regions"])]).replace("us-east-1", watcher))
    serving["clusters"] = {f"{name}-3": cluster for name, cluster in serving["clusters"].items()}
    three = {**watched, "watchers": [], "regions": {**watched["regions"], watcher: serving}}
    return {"two and a watcher": FleetConfig.parse(watched), "three": FleetConfig.parse(three)}


def run_partitions(console: Console, seeds: int) -> dict[str, object]:
    """`python -m sandbox bench --partitions N`: prints and answers the figures."""
    tally = simulate(fleets(), seeds)
    for name, count in asdict(tally).items():
        console.print(f"{name:>18} {count}")
    return {**asdict(tally), "seconds_each": SECONDS, "passed": not tally.double_decisions and not tally.needless}


def simulate(fleets: Mapping[str, FleetConfig], seeds: int = SEEDS, seconds: int = SECONDS) -> Tally:
    """All seeds, with the fleets in turn."""
    total, configs = Tally(), [fleets[name] for name in sorted(fleets)]
    said = region_moving.logger.level
    region_moving.logger.setLevel(logging.ERROR)  # a Region that is cut off says so every second
    for seed in range(seeds):
        total.add(World(seed, configs[seed % len(configs)]).run(seconds))
    region_moving.logger.setLevel(said)
    return total
