"""The calculator's answer: the original's figures, ours with formula and assumptions, causes, and what if. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from standfast.availability import Part, repairable
from standfast.availability_claims import Claim, claims
from standfast.fault_rates import JUDGEMENT, FaultRates, Rate, sources
from standfast.fleet_availability import ClusterShape, FleetAvailability, FleetShape, calculate

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_A_REPLICA = (
    "gpu_mtbf_hours",
    "gpu_mttr_hours",
    "node_mtbf_hours",
    "node_mttr_hours",
    "engine_mtbf_hours",
    "engine_mttr_hours",
)
"""What a replica is computed from, and so everything above it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One step of the calculation: unavailability, how it comes about, and on which assumptions (by name)."""

    name: str
    unavailability: float
    formula: str
    assumes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The whole fleet with something else than assumed."""

    change: str
    unavailability: float


@dataclass(frozen=True, slots=True)
class AvailabilityReport:
    """All that the calculator says of a fleet."""

    shape: FleetShape
    original: tuple[Claim, ...]
    figures: tuple[Figure, ...]
    result: FleetAvailability
    what_if: tuple[WhatIf, ...]
    assumptions: tuple[Rate, ...]

    def document(self) -> dict[str, Any]:
        """The report as JSON. Times are minutes in a year of 365 days."""
        return {
            "availability": self.result.availability,
            "minutes_per_year": self.result.minutes_per_year,
            "fleet": {
                "regions": self.shape.regions,
                "clusters": [{**asdict(each), "replicas_needed": each.needed} for each in self.shape.clusters],
            },
            "causes": {cause.name: cause.minutes_per_year for cause in self.result.causes},
            "figures": [asdict(figure) for figure in self.figures],
            "what_if": [asdict(each) for each in self.what_if],
            "original": [asdict(claim) for claim in self.original],
            "assumptions": [asdict(rate) for rate in self.assumptions],
        }


def report(shape: FleetShape, rates: FaultRates) -> AvailabilityReport:
    """Calculate a fleet and say how."""
    result = calculate(shape, rates)
    return AvailabilityReport(
        shape=shape,
        original=claims(),
        figures=tuple(_figures(shape, rates, result)),
        result=result,
        what_if=tuple(_what_if(shape, rates)),
        assumptions=sources(rates),
    )


def _figures(shape: FleetShape, rates: FaultRates, result: FleetAvailability) -> Iterator[Figure]:
    def figure(name: str, part: Part, formula: str, *assumes: str) -> Figure:
        return Figure(name, part.unavailability, formula, assumes)

    active = shape.clusters[0]
    gpu = repairable(rates.gpu_mtbf_hours, rates.gpu_mttr_hours)
    yield figure("a GPU", gpu, "A = MTBF / (MTBF + MTTR)", *OF_A_REPLICA[:2])
    parts = f"{counted(active.gpus_per_replica, 'GPU')}, {counted(active.nodes_per_replica, 'node')}, the engine"
    yield figure("a replica", result.replica, f"all of it: A = product over {parts}", *OF_A_REPLICA)
    for place, (each, alone, whole) in enumerate(
        zip(shape.clusters, result.clusters_alone, result.clusters, strict=True)
    ):
        role = "active" if place == 0 else "standby"
        kofn = f"{each.needed} of {each.replicas}"
        yield figure(
            f"the {role} cluster, {kofn}, if replicas failed independently",
            alone,
            f"U = sum over fewer than {each.needed} up of C({each.replicas}, i) A^i U^({each.replicas} - i)"
            + (f", by nodes of {each.gpus_per_node} GPUs" if each.replicas_per_node > 1 else ""),
            *OF_A_REPLICA,
        )
        yield figure(
            f"the {role} cluster, {kofn}, with common causes",
            whole,
            "A = k of n at rate (1 - beta) x its common causes at rate beta (1 - beta_clusters)",
            *OF_A_REPLICA,
            "beta",
            "beta_clusters",
        )
    moves = ("cluster_move_seconds", "cluster_coverage", "person_minutes") if shape.clusters[1:] else ()
    yield figure(
        "a Region, before another helps",
        result.region,
        (
            "a failover that did not work, or no cluster left, or the Region itself; a failover under way is not in it"
            if moves
            else "the cluster, or the Region itself"
        ),
        *OF_A_REPLICA,
        "beta",
        "beta_clusters",
        "beta_regions",
        *moves,
        "region_mtbf_hours",
        "region_mttr_hours",
    )
    yield Figure(
        f"the fleet, {counted(shape.regions, 'Region')}, as users see it",
        result.unavailability,
        "the sum of the causes below",
        tuple(rate.name for rate in sources(rates)),
    )


def counted(number: int, what: str) -> str:
    """1 Region, 2 Regions."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _what_if(shape: FleetShape, rates: FaultRates) -> Iterator[WhatIf]:
    """One thing changed at a time, and at the end all that the original leaves out."""

    def other(change: str, given: FaultRates = rates, fleet: FleetShape = shape) -> WhatIf:
        return WhatIf(change, calculate(fleet, given).unavailability)

    yield other("as assumed")
    yield other("beta 0: nothing in common but bad changes and Regions", replace(rates, beta=0))
    yield other("beta 0.02", replace(rates, beta=0.02))
    yield other("beta 0.2", replace(rates, beta=0.2))
    yield other("coverage 0.86: what 20 good runs of 20 prove", _covered(rates, 0.86))
    yield other("coverage 1: every failover and every Region's move works", _covered(rates, 1))
    yield other("a Region's move in half the time", replace(rates, region_move_seconds=rates.region_move_seconds / 2))
    yield other("a person in half the time", replace(rates, person_minutes=rates.person_minutes / 2))
    yield other("every repair of a replica in half the time", _repaired(rates, 0.5))
    yield other("every repair of a replica in twice the time", _repaired(rates, 2))
    yield other("engines fail four times as often", replace(rates, engine_mtbf_hours=rates.engine_mtbf_hours / 4))
    yield other("a change a week", replace(rates, changes_per_year=52))
    yield other("no bad change reaches the whole fleet", replace(rates, change_escape_share=0))
    yield other("every judgement twice as bad, all at once", _judged(rates, 2))
    yield other("every judgement half as bad, all at once", _judged(rates, 0.5))
    yield other("no standby clusters", fleet=replace(shape, clusters=shape.clusters[:1]))
    yield other("one Region", fleet=replace(shape, regions=1))
    yield other("one Region more", fleet=replace(shape, regions=shape.regions + 1))
    if (grouped := _tensor_parallel(shape)) is not None:
        yield other("replicas of twice the GPUs (tensor parallel), half of them needed", fleet=grouped)
    ideal = _covered(replace(rates, beta=0, changes_per_year=0, take_out_seconds=0), 1)
    ideal = replace(ideal, cluster_move_seconds=0, region_move_seconds=0)
    yield other("independence: nothing in common, no time to switch, no bad change", ideal)


def _covered(rates: FaultRates, coverage: float) -> FaultRates:
    return replace(rates, cluster_coverage=coverage, region_coverage=coverage)


def _repaired(rates: FaultRates, factor: float) -> FaultRates:
    return replace(
        rates,
        gpu_mttr_hours=rates.gpu_mttr_hours * factor,
        node_mttr_hours=rates.node_mttr_hours * factor,
        engine_mttr_hours=rates.engine_mttr_hours * factor,
    )


def _judged(rates: FaultRates, factor: float) -> FaultRates:
    """Every value that is a judgement so many times as bad. What cannot be worse than all stays there."""
    changed: dict[str, float] = {}
    for rate in sources(rates):
        if rate.basis != JUDGEMENT:
            continue
        if rate.name.endswith("mtbf_hours"):
            changed[rate.name] = rate.value / factor
        elif rate.name.endswith("coverage"):
            changed[rate.name] = max(0.0, 1 - (1 - rate.value) * factor)
        else:
            changed[rate.name] = min(1.0, rate.value * factor) if rate.unit == "share" else rate.value * factor
    return replace(rates, **changed)


def _tensor_parallel(shape: FleetShape) -> FleetShape | None:
    """Every replica of twice the GPUs; None where they do not come out even."""
    sizes = [(each.gpus, each.gpus_per_replica * 2, each.gpus_per_node) for each in shape.clusters]
    if any(gpus % size or max(size, node) % min(size, node) for gpus, size, node in sizes):
        return None
    return replace(shape, clusters=tuple(ClusterShape(*size) for size in sizes))
