"""Before a rollout starts: which ways fit the GPUs that there are, how long each takes, and its way back. Pure.

| way | needs | goes back |
|---|---|---|
| rolling | a replica that can be spared, one after the other | replica by replica, the way that it came |
| surge | one node more than the cluster has, then as rolling | as rolling |
| blue/green | as many nodes more as the cluster has | by one write of the weights |

What a rollout takes is bounded, not guessed: `least` is what cannot be shortened (bakes, bytes over the node's
network), `most` is when its own deadlines give it up. Seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from standfast.quotas import quota_of
from standfast.rollout import HELD_SECONDS, MOST_REPLICAS, TAKEN_UP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from standfast.capacity import Fit
    from standfast.fleet import Cluster, FleetConfig
    from standfast.quotas import Launches

FASTEST_BYTES_PER_SECOND = 1.25e9
"""10 Gbit/s, the least "up to" of AWS's G and P instances (EC2 instance type pages); a node reads no faster."""
LAUNCH_SECONDS = 900.0
"""A node that does not run by then is not waited for: an image with a driver boots in minutes."""
LOOK_SECONDS = 5.0
"""Between two looks of the judge."""
APPLY_SECONDS = 45.0
"""What the actuator may take at most to have the rule say what is desired (the step's own time-out)."""


class Way(StrEnum):
    """How a version comes to a cluster."""

    ROLLING = "rolling"
    SURGE = "surge"
    BLUE_GREEN = "blue/green"


@dataclass(frozen=True, slots=True)
class Span:
    """How long something takes, in seconds: no less than `least`, given up after `most`."""

    least: float
    most: float

    def __str__(self) -> str:
        """For a person."""
        if round(self.least) == round(self.most):
            return _said(self.most)
        return f"{_said(self.least)} to {_said(self.most)}"


@dataclass(frozen=True, slots=True)
class Group:
    """The cluster's Auto Scaling group. `nodes`: how many it wants; `most`: how many it may have.

    `reserved`: free instances of the reservation that it launches into, None where it launches into none.
    `obstacle`: why no second group can be made of it; empty where one can.
    """

    nodes: int
    most: int
    reserved: int | None = None
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan stands on. `spared`: whether one replica fewer carries the cluster's traffic.

    `launches` are of all clusters of the Region, `quotas` code -> vCPUs; `size` is the version's, in bytes.
    `has_traffic`: the cluster serves users now. `same_name`: the version answers to the name of the one before.
    """

    cluster_id: str
    cluster: Cluster
    healthy: int
    spared: Fit
    launches: Launches
    quotas: Mapping[str, float]
    group: Group | None
    size: int
    has_traffic: bool
    same_name: bool = True


@dataclass(frozen=True, slots=True)
class Option:
    """One way: whether it fits and why, how long it takes, and how long it takes to give it up."""

    way: Way
    fits: bool
    reason: str
    takes: Span
    abort: Span

    def __str__(self) -> str:
        """For a person."""
        if not self.fits:
            return f"{self.way} does not fit: {self.reason}"
        return f"{self.way} fits: {self.reason}; it takes {self.takes}, and to give it up {self.abort}"


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What fits. `chosen` is None where nothing does; `text` says all of it, a line a way."""

    chosen: Way | None
    options: tuple[Option, ...]
    text: str

    def option(self, way: Way) -> Option:
        """The option of a way."""
        return next(option for option in self.options if option.way is way)


def plan(ground: Ground, config: FleetConfig, *, wanted: Way | None = None) -> RolloutPlan:
    """What fits. Chosen is the way that was asked for, if it fits; where none was, the one that goes back soonest."""
    options = (_rolling(ground, config), _surge(ground, config), _blue_green(ground, config))
    fitting = [option for option in options if option.fits]
    if wanted is not None:
        chosen = next((option.way for option in fitting if option.way is wanted), None)
    else:
        chosen = min(fitting, key=lambda option: option.abort.most).way if fitting else None
    return RolloutPlan(chosen, options, _text(ground.cluster_id, chosen, wanted, options))


def _text(cluster_id: str, chosen: Way | None, wanted: Way | None, options: Sequence[Option]) -> str:
    if chosen is not None:
        first = f"{cluster_id}: {chosen}, as asked for" if wanted else f"{cluster_id}: {chosen} goes back soonest"
    else:
        first = (
            f"{cluster_id}: {wanted} does not fit" if wanted else f"{cluster_id}: nothing fits the GPUs that there are"
        )
    return "\n".join([f"{first}.", *(f"{option}." for option in options)])


def _rolling(ground: Ground, config: FleetConfig) -> Option:
    takes, abort = _replica_by_replica(ground, config)
    why_not = _why_not_in_place(ground) or _why_not_spared(ground)
    left = ground.healthy - 1
    said = why_not or f"{left} of {ground.cluster.replicas} replicas serve meanwhile; {ground.spared.reason}"
    return Option(Way.ROLLING, not why_not, said, takes, abort)


def _surge(ground: Ground, config: FleetConfig) -> Option:
    rolled, abort = _replica_by_replica(ground, config)
    takes = Span(rolled.least + _load(ground, config).least, rolled.most + LAUNCH_SECONDS + TAKEN_UP_SECONDS)
    why_not = _why_not_in_place(ground)
    room, said = _room(ground, 1)
    group = ground.group
    if not why_not and group is not None and group.nodes + 1 > group.most:
        why_not = f"its group may have {group.most} nodes and has {group.nodes}; raise MaxSize"
    if not why_not and not room:
        why_not = said
    return Option(Way.SURGE, not why_not, why_not or f"with one node more first ({said})", takes, abort)


def _blue_green(ground: Ground, config: FleetConfig) -> Option:
    rules, moves = config.rollouts, config.moves
    load = _load(ground, config)
    stages = len(moves.stages) if ground.has_traffic else 0
    smoke = Span(0.0, rules.patience_seconds)
    shift = Span(
        stages * moves.bake_seconds, stages * (moves.bake_seconds + rules.patience_seconds + moves.pause_seconds)
    )
    takes = Span(
        load.least + smoke.least + shift.least + rules.hold_seconds,
        LAUNCH_SECONDS + load.most + smoke.most + shift.most + rules.hold_seconds,
    )
    abort = Span(LOOK_SECONDS, LOOK_SECONDS + APPLY_SECONDS)
    group = ground.group
    nodes = group.nodes if group is not None else 0
    room, said = _room(ground, nodes)
    why_not = "" if room else said
    if group is not None and group.obstacle:
        why_not = group.obstacle
    return Option(Way.BLUE_GREEN, not why_not, why_not or f"with {nodes} nodes more beside it ({said})", takes, abort)


def _why_not_in_place(ground: Ground) -> str:
    if not ground.same_name:
        return "the version answers to another name, and while it goes on requests meet both"
    if ground.cluster.replicas < 2:
        return "it has one replica, and none would serve meanwhile"
    if ground.cluster.replicas > MOST_REPLICAS:
        return f"it has {ground.cluster.replicas} replicas, more than the {MOST_REPLICAS} of one execution"
    return ""


def _why_not_spared(ground: Ground) -> str:
    left = ground.healthy - 1
    if left < 1 or 2 * left < ground.cluster.replicas:
        return f"{left} healthy of {ground.cluster.replicas} replicas would be left"
    if ground.has_traffic and not ground.spared.is_enough:
        return ground.spared.reason
    return ""


def _load(ground: Ground, config: FleetConfig) -> Span:
    return Span(ground.size / FASTEST_BYTES_PER_SECOND, 2.0 * config.rollouts.load_seconds)


def _replica_by_replica(ground: Ground, config: FleetConfig) -> tuple[Span, Span]:
    """There, and back from the last replica."""
    rules, count, load = config.rollouts, ground.cluster.replicas, _load(ground, config)
    back = HELD_SECONDS + load.least, rules.drain_seconds + load.most + TAKEN_UP_SECONDS
    there = Span(count * (back[0] + rules.replica_bake_seconds), count * (back[1] + rules.replica_bake_seconds))
    return there, Span(0.0, count * back[1])


def _room(ground: Ground, nodes: int) -> tuple[bool, str]:
    """Whether so many nodes more can be launched as far as reservation and quota say, in words."""
    group = ground.group
    if group is None:
        return False, f"{ground.cluster_id} has no Auto Scaling group with its tag"
    mine = next((each for each in ground.launches.known if each.cluster_id == ground.cluster_id), None)
    if mine is None:
        why = "; ".join(ground.launches.unjudged) or "what its group launches is not known"
        return False, f"nobody knows beforehand whether nodes can be had: {why}"
    if group.reserved is not None and group.reserved < nodes:
        return False, f"its reservation has {group.reserved} free instances, {nodes} are needed"
    quota = quota_of(mine)
    if quota is None or quota.code not in ground.quotas:
        return True, f"{nodes} x {mine.instance_type}, whose quota is not known"
    needs = nodes * mine.vcpus
    taken = sum(each.needs for each in ground.launches.known if quota.counts(each))
    has = ground.quotas[quota.code]
    said = f"{nodes} x {mine.instance_type} = {needs} vCPUs beside {taken:g} of the quota {quota.name}, {has:g}"
    if taken + needs > has:
        return False, f"the quota does not suffice: {said}"
    reserved = f", {group.reserved} reserved instances are free" if group.reserved is not None else ""
    return True, f"{said}{reserved}"


def _said(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
